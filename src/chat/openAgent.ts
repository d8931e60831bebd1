import type { Agent } from '../agent/agent.ts';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import type { Message } from '../text/message.ts';
import { openKit, type ToolOptions } from '../worlds/kit.ts';
import { openWorldServers } from '../worlds/mcp.ts';
import { openWorld } from '../worlds/open.ts';
import { tasksOf } from '../worlds/tasks.ts';
import { openTools } from './openTools.ts';

export interface AgentOptions {
  /** Names of tools, or their modules. */
  tools?: readonly string[];
  /** A world's tools instead, those of its held-out task. */
  world?: string;
  task?: number;
  system?: string;
}

/** An agent's tools with the interpreters and servers behind them, which run until it is closed. */
export interface OpenAgent extends Agent {
  /** Of the world whose tools they are. */
  task?: Task;
  close(): Promise<void>;
}

/**
 * Opens the tools of a world, or of a list, and those of MCP servers.
 * @throws UserError where one cannot be opened, or two have one name
 */
export async function openAgent(options: AgentOptions, offered: ToolOptions): Promise<OpenAgent> {
  const { world: name, task: index = 0, system } = options;
  if (options.tools && name) throw new UserError('--tools and --world cannot go together: a world has its tools');
  const said: Message[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => void (await Promise.all(opened.map(part => part.close())));
  try {
    if (name) {
      const { world } = keep(await openWorld(name, offered));
      const [task] = await tasksOf(world, 'test', [index]);
      const rules = task.messages.filter(({ role }) => role === 'system');
      return { tools: async () => world.tools(task), messages: [...said, ...rules], task, close };
    }
    const { kit } = keep(await openKit(offered));
    const own = keep(await openTools(options.tools ?? [], kit));
    const servers = keep(await openWorldServers(offered.mcp ?? []));
    return { tools: async () => servers.tools(await own.fresh()), messages: said, close };
  } catch (error) {
    await close();
    throw error;
  }

  function keep<T extends { close(): Promise<void> }>(part: T): T {
    opened.push(part);
    return part;
  }
}

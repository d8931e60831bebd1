import type { Command } from 'commander';
import type { OpenAgent } from '../chat/openAgent.ts';
import { nonNegativeInteger } from './options.ts';
import { offeredOf, type ToolsOption, withTools } from './toolOption.ts';

/** What commands take that give a model tools and let it use them. */
export interface AgentOptions extends ToolsOption {
  tools?: string;
  world?: string;
  task: number;
  system?: string;
}

export function withAgent(command: Command): Command {
  return withTools(
    command
      .option(
        '--tools <list>',
        "tools, separated by commas: 'python', the code tool, or modules whose default export is a list of tools",
      )
      .option('--world <world>', "a world's tools instead, those of one of its tasks")
      .option('--task <index>', "which of the world's held-out tasks", nonNegativeInteger, 0)
      .option('--system <text>', 'a system message'),
  );
}

/** Opens what is asked for. The caller closes it. @throws UserError */
export async function agentOf(options: AgentOptions, checkpoint: string): Promise<OpenAgent> {
  const { openAgent } = await import('../chat/openAgent.ts');
  return openAgent({ ...options, tools: options.tools?.split(',') }, await offeredOf(options, checkpoint));
}

import type { Agent } from '../../agent/agent.ts';
import type { Message } from '../../text/message.ts';
import { toolSchema } from '../../tools/schema.ts';
import { closeTools, type ToolOrigin } from '../../tools/tool.ts';
import type { RequestTool } from '../requests.ts';

/** What is known of an agent wherever requests are read. */
export interface AgentOutline {
  /** In the form in which clients offer theirs. */
  tools: RequestTool[];
  /** What a tool runs that is no function, by its name. */
  origins: ReadonlyMap<string, ToolOrigin>;
  /** What dialogues begin with that have no instructions of their own. */
  messages: Message[];
}

/** @throws UserError where its tools cannot be made */
export async function outlineOf(agent: Agent): Promise<AgentOutline> {
  const tools = await agent.tools();
  await closeTools(tools);
  return {
    tools: tools.map(tool => ({ type: 'function', function: toolSchema(tool) })),
    origins: new Map(tools.flatMap(({ name, origin }) => (origin ? [[name, origin]] : []))),
    messages: agent.messages,
  };
}

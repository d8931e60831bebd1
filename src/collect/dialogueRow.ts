import type { Trajectory } from '../agent/trajectory.ts';
import { stringifyJson } from '../json.ts';
import type { Chat } from '../text/chat.ts';
import type { Message, ToolSchema } from '../text/message.ts';

/** A row of the layout of multi-turn demonstrations, calls and tools in the OpenAI format. */
export interface DialogueRow {
  messages: Record<string, unknown>[];
  tools: { type: 'function'; function: ToolSchema }[];
}

/**
 * A trajectory as a demonstration; undefined where it is none: a limit ended it, or a call could not be read, so that the turn
 * cannot be told as text and call.
 */
export function dialogueRow(
  chat: Chat,
  messages: readonly Message[],
  tools: readonly ToolSchema[],
  { tokens, steps, end }: Trajectory,
): DialogueRow | undefined {
  if (end !== 'answer') return undefined;
  const read = steps.map(step => ({
    ...chat.parse(tokens.slice(step.start, step.end)),
    observation: step.observation,
  }));
  if (read.some(({ error }) => error !== undefined)) return undefined;
  const turns = read.flatMap(({ reasoning, content, calls: [call], observation }) => {
    const said = { role: 'assistant', ...(reasoning && { reasoning_content: reasoning }), content };
    if (!call) return [said];
    const tool_calls = [{ type: 'function', function: { name: call.name, arguments: stringifyJson(call.arguments) } }];
    return [
      { ...said, tool_calls },
      { role: 'tool', content: observation },
    ];
  });
  return {
    messages: [...messages.map(({ role, content }) => ({ role, content })), ...turns],
    tools: tools.map(schema => ({ type: 'function', function: schema })),
  };
}

import type { Trajectory } from '../agent/trajectory.ts';
import type { Message, ToolSchema } from '../text/message.ts';

/** A row of the layout of multi-turn demonstrations, calls and tools in the OpenAI format. */
export interface DialogueRow {
  messages: Record<string, unknown>[];
  tools: { type: 'function'; function: ToolSchema }[];
}

/**
 * A trajectory as a demonstration; undefined where it is none: a limit ended it, or a call could not be parsed, so that the
 * turn cannot be told as text and call.
 */
export function dialogueRow(
  messages: readonly Message[],
  tools: readonly ToolSchema[],
  { steps, end }: Trajectory,
): DialogueRow | undefined {
  const isTellable = end === 'answer' && steps.every(({ call, observation }) => call || observation === undefined);
  if (!isTellable) return undefined;
  const turns = steps.flatMap(({ text, call, observation }) => {
    if (!call) return [{ role: 'assistant', content: text }];
    const content = text.split('<tool_call>')[0].trimEnd();
    const tool_calls = [{ type: 'function', function: { name: call.name, arguments: JSON.stringify(call.arguments) } }];
    return [
      { role: 'assistant', content, tool_calls },
      { role: 'tool', content: observation },
    ];
  });
  return {
    messages: [...messages.map(({ role, content }) => ({ role, content })), ...turns],
    tools: tools.map(schema => ({ type: 'function', function: schema })),
  };
}

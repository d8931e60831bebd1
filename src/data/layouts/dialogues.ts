/** The layout of multi-turn demonstrations: dialogues with tool calls, and the tools that were there. */
import { z } from 'zod';
import type { Message, ToolCall, ToolSchema } from '../../text/message.ts';
import { readThought } from '../../text/thought.ts';
import { readTurn } from '../../text/turnText.ts';
import { asJson, maybe } from './columns.ts';
import type { Layout } from './layout.ts';

/** What an expert was asked, and what it did. */
export interface Demonstration {
  /** Everything before the expert's first turn. */
  messages: Message[];
  /** From the expert's first turn to its last. */
  solution: Message[];
  tools: ToolSchema[];
}

const toolCall = z
  .object({
    function: z.object({
      name: z.string('must be text').min(1, 'is empty'),
      arguments: asJson(z.record(z.string(), z.unknown(), 'must be an object, or one as JSON')),
    }),
  })
  .transform(({ function: { name, arguments: args } }): ToolCall => ({ name, arguments: withoutNull(args) }));

/** Parquet gives every call the arguments of all calls, null where it has none of the name. */
function withoutNull(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null));
}

const message = z
  .object({
    role: z.enum(['system', 'user', 'assistant', 'tool'], "role must be 'system', 'user', 'assistant' or 'tool'"),
    content: maybe(z.string('must be text')),
    reasoning_content: maybe(z.string('must be text')),
    tool_calls: maybe(asJson(z.array(toolCall, 'must be a list'))),
  })
  .transform(({ role, content: text = '', reasoning_content, tool_calls }, context): Message => {
    if (role !== 'assistant') return { role, content: text };
    const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['content'], message });
    const turn = readThought(text, reasoning_content);
    if (typeof turn === 'string') {
      refuse(turn);
      return z.NEVER;
    }
    if (tool_calls?.length) return { role, ...turn, toolCalls: tool_calls };
    const { error, content, calls } = readTurn(turn.content);
    if (error) refuse(error);
    return { role, ...turn, content, ...(calls.length > 0 && { toolCalls: calls }) };
  });

const toolSchema = z
  .object({
    function: z.object({
      name: z.string('must be text').min(1, 'is empty'),
      description: maybe(z.string('must be text')),
      parameters: maybe(asJson(z.record(z.string(), z.unknown(), 'must be a JSON Schema'))),
    }),
  })
  .transform(
    ({ function: { name, description = '', parameters = { type: 'object', properties: {} } } }): ToolSchema => ({
      name,
      description,
      parameters,
    }),
  );

const demonstration = z
  .object({
    messages: asJson(z.array(message, 'must be a list of messages with role and content')),
    tools: maybe(asJson(z.array(toolSchema, 'must be a list of tools in the OpenAI format'))),
  })
  .transform(({ messages, tools = [] }, context): Demonstration => {
    const first = messages.findIndex(({ role }) => role === 'assistant');
    const end = 1 + messages.findLastIndex(({ role }) => role === 'assistant');
    const solution = messages.slice(first, end);
    const wrong = first < 0 ? 'no message is the assistant’s' : wrongOrder(messages, first, end);
    if (wrong) {
      context.addIssue({ code: 'custom', path: ['messages'], message: wrong });
      return z.NEVER;
    }
    return { messages: messages.slice(0, first), solution, tools };
  });

/**
 * What keeps the messages from `first` to `end` from being turns and tools' answers to their calls; undefined where nothing
 * does. A turn may make several calls, and have as many answers as there are, but for the last one at least one.
 */
function wrongOrder(messages: readonly Message[], first: number, end: number): string | undefined {
  if (!messages.slice(0, first).some(({ role }) => role === 'user')) return "the user's message is missing";
  for (let i = first; i < end; i++) {
    const message = messages[i];
    const next = messages[i + 1]?.role;
    if (message.role !== 'assistant' && message.role !== 'tool')
      return `message ${i + 1} is the ${message.role}'s, amid the turns`;
    if (message.role !== 'assistant') continue;
    if (next === 'assistant') return `message ${i + 2} is the assistant's, where the tool's is wanted`;
    if (next === 'tool' && !message.toolCalls?.length)
      return `message ${i + 1} is answered by a tool, but makes no call`;
  }
  return undefined;
}

export const demonstrationLayouts: Layout<Demonstration>[] = [
  { name: 'multi-turn dialogues', required: ['messages'], optional: ['tools'], row: demonstration },
];

import { z } from 'zod';
import { isObject } from '../../json.ts';
import { clientFunction, commonFields, notServed, parse } from '../requests.ts';

/** The requests of OpenAI's Responses API as far as they are served; keys that are not known here are passed over. */

const text = z.string();
const part = z.union([
  z.object({ type: z.enum(['input_text', 'output_text', 'reasoning_text']), text }),
  z.object({ type: z.literal('refusal'), refusal: text }),
]);
const content = z.union(
  [text, z.array(part)],
  'must be a string or a list of text parts: images, audio and files are not supported',
);

const item = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('message'), role: z.enum(['user', 'assistant', 'system', 'developer']), content }),
    z.object({ type: z.literal('reasoning'), content: content.nullish() }),
    z.object({ type: z.literal('function_call'), call_id: text, name: text.min(1), arguments: text }),
    z.object({ type: z.literal('function_call_output'), call_id: text, output: content }),
    z.object({
      type: z.literal('mcp_call'),
      name: text.min(1),
      arguments: text,
      output: text.nullish(),
      error: text.nullish(),
    }),
    z.object({
      type: z.literal('code_interpreter_call'),
      code: text,
      outputs: z.array(z.object({ type: z.literal('logs'), logs: text })).nullish(),
    }),
  ],
  {
    error: ({ input }) =>
      isObject(input) && typeof input.type === 'string'
        ? `items of type ${JSON.stringify(input.type)} are not supported: send messages, calls and their outputs`
        : 'must be an item with a type',
  },
);

/** A message may come without its type, and one of the user as its text alone. */
const input = z.preprocess(given => {
  const isMessage = (one: unknown) => isObject(one) && one.type === undefined && one.role !== undefined;
  if (Array.isArray(given)) return given.map(one => (isMessage(one) ? { ...one, type: 'message' } : one));
  return typeof given === 'string' ? [{ type: 'message', role: 'user', content: given }] : given;
}, z.array(item, 'must be a string or a list of items').min(1));

const tool = z.object({
  type: z.literal('function', 'must be "function": what else there is to call, the server brings itself'),
  ...clientFunction.shape,
  strict: z.boolean().nullish(),
});
const namedTool = z.object({ type: z.literal('function'), name: text });
const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    namedTool,
    z.object({
      type: z.literal('allowed_tools'),
      mode: z.enum(['auto', 'required']),
      tools: z.array(namedTool).min(1),
    }),
  ],
  'must be "none", "auto", "required", {"type": "function", "name": …} or {"type": "allowed_tools", …} of such',
);

const format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), name: text.optional(), schema: z.record(text, z.unknown()) }),
]);

const keptElsewhere = 'send the dialogue, or previous_response_id';

const responseRequest = z.object({
  ...commonFields,
  input,
  instructions: text.nullish(),
  previous_response_id: text.min(1).nullish(),
  store: z.boolean().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.object({ format: format.nullish() }).nullish(),
  reasoning: z.object({ effort: text.nullish() }).nullish(),
  include: z
    .array(text.refine(what => what !== 'message.output_text.logprobs', 'is not supported: take /v1/chat/completions'))
    .nullish(),
  metadata: z
    .record(text.max(64), text.max(512))
    .refine(metadata => Object.keys(metadata).length <= 16, 'has more than 16 keys')
    .nullish(),
  top_logprobs: z.literal(0, 'is not supported: take /v1/chat/completions').nullish(),
  truncation: z.literal('disabled', 'is not supported: what is too long is refused').nullish(),
  background: z.literal(false, 'is not supported: wait for the answer, or have it streamed').nullish(),
  max_tool_calls: notServed('take max_output_tokens'),
  conversation: notServed(keptElsewhere),
  prompt: notServed(keptElsewhere),
  context_management: notServed(keptElsewhere),
});

export type ResponseRequest = z.output<typeof responseRequest>;
export type InputItem = z.output<typeof item>;
export type ItemContent = z.output<typeof content>;

/** @throws ApiError 400 that names the field. */
export function parseResponseRequest(body: unknown): ResponseRequest {
  return parse(responseRequest, body, ['tools', 'text']);
}

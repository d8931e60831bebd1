import { z } from 'zod';
import { isObject, mapObject, plainNumbers } from '../json.ts';
import { badRequest } from './apiError.ts';

/** The requests of OpenAI's API as far as they are served; keys that are not known here are passed over, as clients send many. */

const maxChoices = 64;
const maxAlternatives = 20;

/** Of 64 bits, with a sign or without. */
const seed = z.union(
  [
    z.int(),
    z
      .bigint()
      .min(-(2n ** 63n))
      .max(2n ** 64n - 1n),
  ],
  'must be a whole number of 64 bits',
);
const stop = z
  .union([z.string().min(1), z.array(z.string().min(1)).max(16)])
  .nullish()
  .transform(stop => (typeof stop === 'string' ? [stop] : (stop ?? [])));

export const notServed = (what: string) =>
  z.custom<undefined>(value => value === undefined || value === null, `is not supported: ${what}`).optional();
/** Only the value that changes nothing. */
const only = (value: number, what: string) => z.literal(value, `is not supported: ${what}`).nullish();

const jsonSchemaFormat = z.object({
  type: z.literal('json_schema'),
  json_schema: z.object({ name: z.string().optional(), schema: z.record(z.string(), z.unknown()) }),
});
const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object'), schema: z.record(z.string(), z.unknown()).nullish() }),
  jsonSchemaFormat,
]);

/** Of every request. */
export const commonFields = {
  model: z.string(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).max(1_000_000).nullish(),
  seed: seed.nullish(),
};

const sampling = {
  ...commonFields,
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  stop,
  n: z.int().min(1).max(maxChoices).nullish(),
  response_format: responseFormat.nullish(),
  /** Of vLLM: the tokens that end a text are sampled like others. */
  ignore_eos: z.boolean().nullish(),
  stop_token_ids: z.array(z.int().nonnegative()).max(64).nullish(),
  presence_penalty: only(0, 'sampling has no penalties'),
  frequency_penalty: only(0, 'sampling has no penalties'),
  repetition_penalty: only(1, 'sampling has no penalties'),
  min_p: only(0, 'take top_p or top_k'),
  logit_bias: z
    .custom(value => value == null || (typeof value === 'object' && Object.keys(value).length === 0), {
      error: 'is not supported: sampling has no biases',
    })
    .optional(),
};

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });
const ofText = 'must be a string or a list of text parts: images, audio and files are not supported';
const content = z.union([z.string(), z.array(textPart)], ofText);
const assistantContent = z.union([z.string(), z.array(z.union([textPart, refusalPart]))], ofText);
const toolCall = z.object({
  id: z.string(),
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string().min(1), arguments: z.string() }),
});
const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content }),
  z.object({ role: z.literal('user'), content }),
  z.object({
    role: z.literal('assistant'),
    content: assistantContent.nullish(),
    refusal: z.string().nullish(),
    /** What was thought before, as answers tell it: the template decides whether the model sees it again. */
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
  }),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string() }),
]);
/** A tool that the client has. */
export const clientFunction = z.object({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
});
const tool = z.object({ type: z.literal('function'), function: clientFunction });
const namedTool = z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) });
const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    namedTool,
    z.object({
      type: z.literal('allowed_tools'),
      allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(namedTool).min(1) }),
    }),
  ],
  'must be "none", "auto", "required", {"type": "function", "function": {"name": …}} or {"type": "allowed_tools", …}',
);

const chatRequest = z.object({
  ...sampling,
  messages: z.array(message).min(1),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(maxAlternatives).nullish(),
  modalities: z.array(z.literal('text', 'is not supported: answers are text')).nullish(),
  audio: notServed('answers are text'),
  /** Of vLLM: what the chat template is told. */
  chat_template_kwargs: z.object({ enable_thinking: z.boolean().nullish() }).nullish(),
  functions: notServed('take tools'),
  function_call: notServed('take tool_choice'),
});

const tokens = z.array(z.int().nonnegative()).min(1);
const isMany = (prompt: unknown): prompt is unknown[] => Array.isArray(prompt) && typeof prompt[0] !== 'number';
const completionRequest = z.object({
  ...sampling,
  prompt: z.union(
    [z.string(), tokens, z.array(z.string()).min(1).max(maxChoices), z.array(tokens).min(1).max(maxChoices)],
    {
      error: ({ input }) =>
        isMany(input) && input.length > maxChoices
          ? `has ${input.length} prompts; ${maxChoices} is the most in one request`
          : 'must be a string, a list of token ids, or a list of these',
    },
  ),
  max_tokens: z.int().min(0).nullish(),
  logprobs: z.int().min(0).max(maxAlternatives).nullish(),
  prompt_logprobs: z.int().min(0).max(maxAlternatives).nullish(),
  /** Of our own: each prompt is scored from this token of it on, as training does it. The first has nothing before it. */
  prompt_scores: z.array(z.int().min(1)).nullish(),
  /** With them, so many of the most probable tokens in the place of each. */
  prompt_alternatives: z.int().min(0).max(maxAlternatives).nullish(),
  /** Of vLLM: prompt and answer as token ids. */
  return_token_ids: z.boolean().nullish(),
  echo: z.boolean().nullish(),
  suffix: notServed('text is only continued at its end'),
  best_of: only(1, 'take n'),
});

export type ChatRequest = z.output<typeof chatRequest>;
export type CompletionRequest = z.output<typeof completionRequest>;
export type RequestMessage = z.output<typeof message>;
export type RequestTool = z.output<typeof tool>;
type Sampling = Pick<ChatRequest, keyof typeof sampling>;

export type { Sampling as SamplingFields };

/** @throws ApiError 400 that names the field. */
export function parseChatRequest(body: unknown): ChatRequest {
  return parse(chatRequest, body);
}

/** @throws ApiError 400 that names the field. */
export function parseCompletionRequest(body: unknown): CompletionRequest {
  return parse(completionRequest, body);
}

/**
 * @param written keys of what is shown or followed as it was written, its numbers too
 * @throws ApiError 400 that names the field.
 */
export function parse<T>(schema: z.ZodType<T>, body: unknown, written = ['tools', 'response_format']): T {
  const result = schema.safeParse(plainOptions(body, written), { reportInput: true });
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const param = path.join('.');
  throw badRequest(param ? `${param}: ${message}` : 'The body must be a JSON object.', param || undefined);
}

/** A body with the numbers of JavaScript but in its schemas. */
function plainOptions(body: unknown, written: readonly string[]): unknown {
  if (!isObject(body)) return body;
  return mapObject(body, (key, value) => [key, written.includes(key) ? value : plainNumbers(value)]);
}

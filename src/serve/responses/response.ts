import type { Answer } from '../../agent/answer.ts';
import { ApiError } from '../apiError.ts';
import type { OutputItem } from './items.ts';
import type { ResponseWork } from './reading.ts';

export interface ResponseParts {
  id: string;
  /** Unix time in seconds. */
  createdAt: number;
  model: string;
  request: ResponseWork['request'];
  output: readonly OutputItem[];
}

/** How a response ended, if it has. */
export type ResponseEnd = 'in_progress' | { answer: Answer; promptTokens: number } | ApiError;

/** A response as the API tells it. */
export function responseObject({ id, createdAt, model, request, output }: ResponseParts, end: ResponseEnd) {
  return {
    id,
    object: 'response',
    created_at: createdAt,
    ...outcome(end),
    model,
    output,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: request.metadata ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: { format: request.text?.format ?? { type: 'text' } },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_p: request.top_p ?? 1,
    truncation: 'disabled',
  };
}

function outcome(end: ResponseEnd) {
  const none = { error: null, incomplete_details: null, usage: null };
  if (end === 'in_progress') return { status: 'in_progress', ...none };
  if (end instanceof ApiError) {
    return { status: 'failed', ...none, error: { code: end.code ?? end.type, message: end.message } };
  }
  const { answer, promptTokens } = end;
  const told = { ...none, usage: usage(answer, promptTokens) };
  if (answer.end === 'turns' || answer.end === 'tokens') {
    const reason = answer.end === 'tokens' ? 'max_output_tokens' : 'max_turns';
    return { status: 'incomplete', ...told, incomplete_details: { reason } };
  }
  return { status: 'completed', completed_at: Math.floor(Date.now() / 1000), ...told };
}

/** What was read, once: the prompt, and what tools gave; and what was sampled. */
function usage({ sampledTokens, thoughtTokens, observedTokens }: Answer, promptTokens: number) {
  const input = promptTokens + observedTokens;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: sampledTokens,
    output_tokens_details: { reasoning_tokens: thoughtTokens },
    total_tokens: input + sampledTokens,
  };
}

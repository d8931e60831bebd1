import { badRequest } from './apiError.ts';
import { outputGrammar } from './outputGrammar.ts';
import type { PromptModel } from './promptModel.ts';
import { type CompletionRequest, parseCompletionRequest } from './requests.ts';
import { refuseOtherName } from './servedModel.ts';

/** A completion request as it is sampled. */
export interface CompletionWork {
  request: Omit<CompletionRequest, 'prompt' | 'response_format'>;
  prompts: number[][];
  /** The prompts as text, where they are to stand before what is sampled. */
  echoes: string[];
  /** As JSON. */
  grammar?: string;
}

/** @throws ApiError where the request cannot be answered */
export function readCompletion(model: PromptModel, body: unknown): CompletionWork {
  const { prompt, response_format, ...request } = parseCompletionRequest(body);
  refuseOtherName(model.names, request.model);
  for (const field of ['prompt_logprobs', 'prompt_scores', 'return_token_ids'] as const) {
    if (request.stream && request[field] != null) throw badRequest(`${field}: cannot be streamed`, field);
  }
  const grammar = outputGrammar({ format: response_format ?? { type: 'text' }, vocabulary: model.vocabulary });
  if (grammar && request.ignore_eos)
    throw badRequest('ignore_eos: what is demanded of the answer ends it', 'ignore_eos');
  const given = typeof prompt === 'string' || typeof prompt[0] === 'number' ? [prompt] : prompt;
  const prompts = (given as (string | number[])[]).map(one => model.prompt(one, request.max_tokens === 0 ? 0 : 1));
  const { prompt_scores: from } = request;
  if (from && (from.length !== prompts.length || from.some((start, i) => start > prompts[i].length))) {
    throw badRequest('prompt_scores: must be one place in each prompt', 'prompt_scores');
  }
  const echo = (one: string | number[]) => (typeof one === 'string' ? one : model.text(one));
  return {
    request,
    prompts,
    echoes: request.echo ? (given as (string | number[])[]).map(echo) : [],
    ...(grammar && { grammar: JSON.stringify(grammar) }),
  };
}

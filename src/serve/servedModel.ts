import type { LocalSampler } from '../engine/local/engine.ts';
import type { Chat } from '../text/chat.ts';
import type { Vocabulary } from '../text/vocabulary.ts';
import { ApiError } from './apiError.ts';
import { LogprobFormat } from './logprobs.ts';

/** The one model that a server has. */
export class ServedModel {
  readonly name: string;
  /** By its weights as they are: another, when it gets new ones. */
  sampler: LocalSampler;
  readonly chat: Chat;
  readonly vocabulary: Vocabulary;
  /** Most tokens of a prompt and its answer together. */
  readonly contextTokens: number;
  readonly logprobs: LogprobFormat;
  /** Unix time in seconds. */
  readonly created = Math.floor(Date.now() / 1000);

  constructor(parts: Pick<ServedModel, 'name' | 'sampler' | 'chat' | 'vocabulary' | 'contextTokens'>) {
    this.name = parts.name;
    this.sampler = parts.sampler;
    this.chat = parts.chat;
    this.vocabulary = parts.vocabulary;
    this.contextTokens = parts.contextTokens;
    this.logprobs = new LogprobFormat(parts.vocabulary);
  }
}

/** @throws ApiError 404 */
export function refuseOtherName(model: { name: string }, asked: string): void {
  if (asked === model.name) return;
  const message = `There is no model ${JSON.stringify(asked)} here; there is ${JSON.stringify(model.name)}.`;
  throw new ApiError(404, message, { code: 'model_not_found', param: 'model' });
}

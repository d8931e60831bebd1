import type { LocalSampler } from '../engine/local/engine.ts';
import type { Chat } from '../text/chat.ts';
import type { Vocabulary } from '../text/vocabulary.ts';
import { LogprobFormat } from './logprobs.ts';

/** The one model that a server has. */
export class ServedModel {
  readonly name: string;
  readonly sampler: LocalSampler;
  readonly chat: Chat;
  readonly vocabulary: Vocabulary;
  /** Token ids that the model has logits for. */
  readonly vocabularySize: number;
  /** Most tokens of a prompt and its answer together. */
  readonly contextTokens: number;
  readonly logprobs: LogprobFormat;
  /** Unix time in seconds. */
  readonly created = Math.floor(Date.now() / 1000);

  constructor(
    parts: Pick<ServedModel, 'name' | 'sampler' | 'chat' | 'vocabulary' | 'vocabularySize' | 'contextTokens'>,
  ) {
    this.name = parts.name;
    this.sampler = parts.sampler;
    this.chat = parts.chat;
    this.vocabulary = parts.vocabulary;
    this.vocabularySize = parts.vocabularySize;
    this.contextTokens = parts.contextTokens;
    this.logprobs = new LogprobFormat(parts.vocabulary);
  }
}

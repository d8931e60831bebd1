import type { LocalSampler } from '../engine/local/engine.ts';
import type { Chat } from '../text/chat.ts';
import type { loadChats } from '../text/loadChat.ts';
import type { Vocabulary } from '../text/vocabulary.ts';
import { ApiError } from './apiError.ts';
import { LogprobFormat } from './logprobs.ts';

/** A model as clients ask for it. */
export class ServedModel {
  readonly name: string;
  /** Where it was found. */
  readonly root: string;
  /** The name of the model that it is an adapter over. */
  readonly parent?: string;
  /** By its weights as they are: another, when it gets new ones. */
  sampler: LocalSampler;
  /** Thinking or not. */
  readonly chats: ReturnType<typeof loadChats>;
  /** Not thinking where it need not. */
  readonly chat: Chat;
  readonly vocabulary: Vocabulary;
  /** Most tokens of a prompt and its answer together. */
  readonly contextTokens: number;
  readonly logprobs: LogprobFormat;
  /** Unix time in seconds. */
  readonly created = Math.floor(Date.now() / 1000);

  constructor(parts: Omit<ServedModel, 'chat' | 'logprobs' | 'created'>) {
    this.name = parts.name;
    this.root = parts.root;
    this.parent = parts.parent;
    this.sampler = parts.sampler;
    this.chats = parts.chats;
    this.chat = parts.chats();
    this.vocabulary = parts.vocabulary;
    this.contextTokens = parts.contextTokens;
    this.logprobs = new LogprobFormat(parts.vocabulary);
  }
}

/** As a list of models tells of it: what vLLM says there, too. */
export function description({ name, created, root, parent, contextTokens }: ServedModel) {
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'sod',
    root,
    parent: parent ?? null,
    max_model_len: contextTokens,
  };
}

/** @throws ApiError 404 where there is none */
export function modelOf(models: readonly ServedModel[], asked: string): ServedModel {
  refuseOtherName(
    models.map(({ name }) => name),
    asked,
  );
  return models.find(({ name }) => name === asked)!;
}

/** @throws ApiError 404 */
export function refuseOtherName(names: readonly string[], asked: string): void {
  if (names.includes(asked)) return;
  const known = names.map(name => JSON.stringify(name)).join(', ');
  const message = `There is no model ${JSON.stringify(asked)} here; there ${names.length === 1 ? 'is' : 'are'} ${known}.`;
  throw new ApiError(404, message, { code: 'model_not_found', param: 'model' });
}

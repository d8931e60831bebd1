import { UserError } from '../../errors.ts';
import type { GrammarWalk } from '../../grammar/maskThread.ts';
import { type ModelRows, mixedModel } from '../../model/adapters.ts';
import { parameterCount } from '../../model/config.ts';
import { decode } from '../../model/decoder.ts';
import type { Weights } from '../../model/weights.ts';
import { device } from '../../tensor/currentDevice.ts';
import {
  cachedAttention,
  copyPage,
  type Draws,
  type LayerCache,
  lmHeadLogits,
  sample,
  selectRows,
  topTokens,
} from '../../tensor/ops.ts';
import { scope, Tensor, unscoped } from '../../tensor/tensor.ts';
import type { Completion, SampledToken, SamplingOptions, TokenIds, TokenLogprob } from '../types.ts';
import { uniform } from './chance.ts';
import { PageCache } from './pageCache.ts';
import type { SamplerStatus } from './protocol.ts';
import { bestOf, type Given, rankGiven } from './ranking.ts';
import { computesBeginningOf, isRanking, pending, remember, type Sequence, toRank, waitsForMask } from './sequence.ts';

export interface GeneratorOptions {
  /** Sequences decoded side by side. */
  maxBatch: number;
  /** Prompt tokens computed in one step at most, beside the decoding sequences. */
  prefillRows: number;
  /** Room for keys and values, in tokens. */
  cacheTokens: number;
  /** Begins a completion that must follow a grammar, given as JSON, and may then end with one of `stop`. */
  follow: (grammar: string, stop: TokenIds) => GrammarWalk;
}

/** Tokens a page: so many that a product over one fills the registers, where heads are small. */
function pageTokensFor(headDim: number): number {
  return headDim < 128 ? 64 : 32;
}

/** Multiply-adds of a step below which a second thread gains little beside tools and clients, who have better use for its core. */
const shortWork = 100e6;

const defaults = { temperature: 1, topP: 1, topK: 0, stop: [], seed: 0, alternatives: 0 };

/**
 * Continuous batching: every step advances all running sequences by one token and, beside them, computes waiting prompts
 * chunk by chunk; sequences join and leave between steps. A sequence's tokens depend on its prompt, options and weights
 * alone, never on its neighbours or on when it ran, since every kernel computes each row by itself.
 * Sequences of different adapters over the same weights are one batch.
 */
export class Generator {
  readonly #weights: Weights;
  readonly #rotary: Tensor;
  readonly #options: GeneratorOptions;
  readonly #pageTokens: number;
  readonly #cache: PageCache;
  readonly #layers: LayerCache[];
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  readonly #parameters: number;
  #computedRows = 0;

  constructor(weights: Weights, rotary: Tensor, options: GeneratorOptions) {
    const { config, activations: dtype } = weights;
    this.#weights = weights;
    this.#rotary = rotary;
    this.#parameters = parameterCount(config);
    const pageTokens = pageTokensFor(config.headDim);
    const pages = Math.max(2, Math.ceil(options.cacheTokens / pageTokens));
    this.#pageTokens = pageTokens;
    this.#options = { ...options, cacheTokens: pages * pageTokens };
    const shape = [pages, config.kvHeads, config.headDim * pageTokens];
    this.#layers = unscoped(() =>
      Array.from({ length: config.layers }, () => ({
        keys: Tensor.allocate(dtype, shape),
        values: Tensor.allocate(dtype, shape),
      })),
    );
    this.#cache = new PageCache(pages, pageTokens, (to, from) => {
      for (const layer of this.#layers) copyPage(layer, to, from);
    });
  }

  /** Tokens computed since the start; those whose keys and values the cache still had do not count. */
  get computedRows(): number {
    return this.#computedRows;
  }

  get busy(): boolean {
    return this.#running.length + this.#waiting.length > 0;
  }

  status(): SamplerStatus {
    const held = new Set(this.#running.flatMap(({ pages }) => pages));
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      cacheTokens: this.#options.cacheTokens,
      heldTokens: held.size * this.#pageTokens,
    };
  }

  /** Most tokens of a sequence, its prompt included. */
  get contextTokens(): number {
    return Math.min(this.#weights.config.maxPositions, this.#options.cacheTokens);
  }

  /**
   * Queues a request; `id` names it for `abort`.
   * @param weights of the model that samples: the generator's own, or adapters over them
   */
  async generate(
    id: number,
    prompt: TokenIds,
    { grammar, rankPrompt, ...options }: SamplingOptions,
    onToken?: (token: SampledToken) => void,
    weights = this.#weights,
  ): Promise<Completion> {
    const limit = this.contextTokens;
    const room = limit - prompt.length;
    if (prompt.length === 0) throw new UserError('a prompt needs at least one token');
    if (room < Math.min(options.maxTokens, 1)) {
      throw new UserError(`the prompt has ${prompt.length} tokens; this engine takes fewer than ${limit}`);
    }
    const outside = prompt.find(token => !(token >= 0 && token < this.#weights.config.vocabSize));
    if (outside !== undefined) {
      throw new UserError(
        `the prompt holds token ${outside}; this model has tokens 0 to ${this.#weights.config.vocabSize - 1}`,
      );
    }
    const complete = { ...defaults, ...options, maxTokens: Math.min(options.maxTokens, room) };
    if (complete.maxTokens < 1 && rankPrompt === undefined) return { tokens: [], logprobs: [], stopReason: 'length' };
    const walk = grammar === undefined ? undefined : this.#options.follow(grammar, complete.stop);
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        id,
        weights,
        tokens: [...prompt],
        promptLength: prompt.length,
        logprobs: [],
        alternatives: [],
        options: complete,
        ranked: rankPrompt === undefined ? undefined : [],
        rankAlternatives: Math.min(rankPrompt ?? 0, this.#weights.config.vocabSize),
        walk,
        onToken,
        stop: new Set(complete.stop),
        pages: [],
        cached: 0,
        running: false,
        resolve,
        reject,
      });
    });
  }

  abort(id: number): void {
    for (const list of [this.#waiting, this.#running]) {
      const at = list.findIndex(sequence => sequence.id === id);
      if (at < 0) continue;
      const [sequence] = list.splice(at, 1);
      this.#fail(sequence, new DOMException('The generation was aborted', 'AbortError'));
    }
  }

  /** The weights have changed: sequences under way go on, with everything computed anew. */
  forget(): void {
    for (const sequence of this.#running.splice(0).reverse()) this.#preempt(sequence);
    this.#cache.clear();
  }

  /**
   * One forward pass over one batch.
   * @param alone whether nothing else on this machine is likely to want its cores now
   * @returns whether there is more to do: not where every sequence waits for the mask of its next token
   */
  step(alone = true): boolean {
    try {
      this.#dropFailed();
      this.#admit();
      const batch = this.#nextRows();
      const work = batch.reduce((sum, { rows }) => sum + rows, 0) * this.#parameters;
      const advance = () => scope(() => this.#advance(batch));
      if (work > 0 && work < shortWork && !alone) device().withOneThread(advance);
      else if (work > 0) advance();
      return this.busy && !(work === 0 && this.#running.length > 0 && this.#running.every(waitsForMask));
    } catch (error) {
      for (const sequence of [...this.#running.splice(0), ...this.#waiting.splice(0)]) {
        this.#fail(sequence, error as Error);
      }
      return false;
    }
  }

  free(): void {
    for (const { keys, values } of this.#layers) {
      keys.free();
      values.free();
    }
  }

  /** A grammar that asks for too much ends its own sequence and no other. */
  #dropFailed(): void {
    for (const list of [this.#waiting, this.#running]) {
      for (const sequence of list.filter(({ walk }) => walk?.error)) {
        list.splice(list.indexOf(sequence), 1);
        this.#fail(sequence, sequence.walk!.error!);
      }
    }
  }

  #fail(sequence: Sequence, error: Error): void {
    this.#letGo(sequence);
    sequence.walk?.end();
    sequence.reject(error);
  }

  #admit(): void {
    for (let at = 0; at < this.#waiting.length && this.#running.length < this.#options.maxBatch; ) {
      const sequence = this.#waiting[at];
      if (!isRanking(sequence) && this.#running.some(other => computesBeginningOf(other, sequence, this.#pageTokens))) {
        at++;
        continue;
      }
      this.#waiting.splice(at, 1);
      // Of what the cache has, keys and values are known, but not what the rows predicted.
      if (isRanking(sequence)) sequence.ranked = [];
      else Object.assign(sequence, this.#cache.acquire(sequence.tokens, sequence.weights));
      sequence.running = true;
      this.#running.push(sequence);
    }
  }

  /** How many tokens each sequence computes in this step; decoding comes first, prompts share what rows are left. */
  #nextRows(): SequenceRows[] {
    let prompts = this.#options.prefillRows;
    const batch: SequenceRows[] = [];
    for (const sequence of [...this.#running]) {
      if (!sequence.running || waitsForMask(sequence)) continue;
      const open = pending(sequence);
      const rows = open === 1 ? 1 : Math.min(open, prompts);
      if (open > 1) prompts -= rows;
      if (rows > 0 && this.#makeRoom(sequence, sequence.cached + rows)) batch.push({ sequence, rows });
    }
    return byModel(batch.filter(({ sequence }) => sequence.running));
  }

  /** Pages for the first `length` tokens; where room is short, the sequences that came last give way. */
  #makeRoom(sequence: Sequence, length: number): boolean {
    while (sequence.pages.length * this.#pageTokens < length) {
      if (this.#cache.append(sequence.pages, sequence.weights)) continue;
      const last = this.#running.pop()!;
      this.#preempt(last);
      if (last === sequence) return false;
    }
    return true;
  }

  #preempt(sequence: Sequence): void {
    this.#letGo(sequence);
    this.#waiting.unshift(sequence);
  }

  #letGo(sequence: Sequence): void {
    this.#cache.release(sequence.pages);
    sequence.pages = [];
    sequence.cached = 0;
    sequence.running = false;
  }

  #advance(batch: readonly SequenceRows[]): void {
    const total = batch.reduce((sum, { rows }) => sum + rows, 0);
    const width = Math.max(...batch.map(({ sequence }) => sequence.pages.length));
    const ids = new Int32Array(total);
    const positions = new Int32Array(total);
    const sequences = new Int32Array(batch.length * 3);
    const pageTable = new Int32Array(batch.length * width);
    const ready: Sequence[] = [];
    const given: Given[] = [];
    /** Rows whose output is asked for, and those among them that a token is sampled from. */
    const wanted: number[] = [];
    const sampled: number[] = [];
    const models: ModelRows[] = [];
    let row = 0;
    batch.forEach(({ sequence, rows }, s) => {
      sequences[s * 3] = row;
      sequences[s * 3 + 1] = rows;
      sequences[s * 3 + 2] = sequence.cached;
      for (let p = 0; p < sequence.pages.length; p++) pageTable[s * width + p] = sequence.pages[p].index;
      for (let r = 0; r < rows; r++, row++) {
        ids[row] = sequence.tokens[sequence.cached + r];
        positions[row] = sequence.cached + r;
      }
      const wantedBefore = wanted.length;
      if (isRanking(sequence)) given.push(...toRank(sequence, rows, wanted, row - rows));
      if (rows === pending(sequence)) {
        ready.push(sequence);
        sampled.push(wanted.length);
        wanted.push(row - 1);
      }
      models.push({ weights: sequence.weights, rows, wanted: wanted.length - wantedBefore });
    });

    this.#computedRows += total;
    const { config } = this.#weights;
    const sequenceTensor = Tensor.from(sequences, [batch.length, 3]);
    const pageTensor = Tensor.from(pageTable, [batch.length, width]);
    const attend = (layer: number, qk: Tensor, qkv: Tensor) =>
      cachedAttention(qk, qkv, this.#layers[layer], sequenceTensor, pageTensor, config);
    const hidden = decode(mixedModel(this.#weights, models), this.#rotary, ids, positions, attend, {
      rows: Int32Array.from(wanted),
    });
    for (const { sequence, rows } of batch) remember(sequence, rows, this.#pageTokens);
    rankGiven(hidden, this.#weights.head, given);
    if (ready.length === 0) return;
    const last = given.length === 0 ? hidden : selectRows(undefined, hidden, Tensor.from(Int32Array.from(sampled)));
    this.#sampleNext(last, ready);
  }

  /** `hidden` has a row for each sequence. */
  #sampleNext(hidden: Tensor, ready: Sequence[]): void {
    const logits = lmHeadLogits(hidden, this.#weights.head);
    const draws: Draws = {
      temperatures: new Float32Array(ready.length),
      topPs: new Float32Array(ready.length),
      topKs: new Int32Array(ready.length),
      uniforms: new Float32Array(ready.length),
      masks: ready.map(({ walk }) => walk?.mask),
    };
    ready.forEach(({ options, tokens }, i) => {
      draws.temperatures[i] = options.temperature;
      draws.topPs[i] = options.topP;
      draws.topKs[i] = options.topK;
      draws.uniforms[i] = uniform(options.seed, tokens.length);
    });
    const drawn = sample(logits, draws);
    const alternatives = this.#alternatives(logits, ready, drawn.tokens);
    ready.forEach((sequence, i) => {
      if (sequence.options.maxTokens < 1) {
        this.#finish(sequence, 'length');
        return;
      }
      const token = { token: drawn.tokens[i], logprob: drawn.logprobs[i], alternatives: alternatives?.[i] };
      sequence.tokens.push(token.token);
      sequence.logprobs.push(token.logprob);
      if (token.alternatives) sequence.alternatives.push(token.alternatives);
      sequence.onToken?.(token);
      const stopped = sequence.stop.has(token.token);
      const ends = stopped || sequence.logprobs.length >= sequence.options.maxTokens;
      if (ends) this.#finish(sequence, stopped ? 'stop' : 'length');
      else sequence.walk?.accept(token.token);
    });
  }

  /** For each row the tokens that it wants to be told of. */
  #alternatives(logits: Tensor, ready: Sequence[], drawn: Int32Array): (TokenLogprob[] | undefined)[] | undefined {
    const most = Math.max(...ready.map(({ options }) => options.alternatives));
    if (most === 0) return undefined;
    const k = Math.min(most, logits.shape[1]);
    const top = topTokens(logits, k, drawn);
    return ready.map(({ options }, row) =>
      options.alternatives === 0 ? undefined : bestOf(top, row, k, Math.min(k, options.alternatives)),
    );
  }

  #finish(sequence: Sequence, stopReason: Completion['stopReason']): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#letGo(sequence);
    sequence.walk?.end();
    const { logprobs, alternatives, options, ranked } = sequence;
    sequence.resolve({
      tokens: sequence.tokens.slice(sequence.promptLength),
      logprobs,
      ...(options.alternatives > 0 && { alternatives }),
      ...(ranked && { prompt: ranked }),
      stopReason,
    });
  }
}

interface SequenceRows {
  sequence: Sequence;
  rows: number;
}

/** Sequences of the same model beside each other. */
function byModel(batch: readonly SequenceRows[]): SequenceRows[] {
  const models = [...new Set(batch.map(({ sequence }) => sequence.weights))];
  return models.flatMap(weights => batch.filter(({ sequence }) => sequence.weights === weights));
}

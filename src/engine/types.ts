/**
 * What the algorithm sees of an engine: a policy that samples, a teacher that scores, a trainer that learns.
 * Everything speaks token ids, never text, and the algorithm never knows which engine runs it. The shape follows
 * the Tinker training API.
 *
 * Per-token arrays are aligned with `tokens`: entry t belongs to token t itself, so a log-probability at t is
 * log π(tokens[t] | tokens[0..t-1]), and entry 0 never carries anything.
 */

import type { LoraShape } from '../model/lora.ts';

export type TokenIds = readonly number[];

export interface SamplingOptions {
  /** Most tokens to sample in this call. */
  maxTokens: number;
  /** 0 is greedy. Default 1. */
  temperature?: number;
  /** Smallest set of tokens whose probabilities reach this sum. Default 1: no cut. */
  topP?: number;
  /** Only the k most probable tokens. Default 0: no cut. */
  topK?: number;
  /** Token ids that end the completion; the one that did is its last token. */
  stop?: TokenIds;
  /** Same seed, same prompt, same weights: same tokens, whatever else runs beside. Default 0. */
  seed?: number;
  /** How many of the most probable tokens to tell beside each sampled one. Default 0. */
  alternatives?: number;
  /** Ranks the prompt's tokens, with so many of the most probable in each place; `maxTokens` may then be 0. */
  rankPrompt?: number;
  /**
   * What the completion may spell: a `Grammar` (src/grammar/grammar.ts) as JSON, which goes from thread to thread in no time,
   * where a large object does not. Where it is complete, a `stop` token may follow.
   */
  grammar?: string;
}

/** A token and its log-probability under the policy itself: temperature 1, nothing cut. */
export interface TokenLogprob {
  token: number;
  logprob: number;
}

export interface SampledToken extends TokenLogprob {
  /** The most probable tokens in this place, best first, where they were asked for. */
  alternatives?: TokenLogprob[];
}

export interface Completion {
  tokens: number[];
  /** Log-probability of each token under the policy itself: temperature 1, nothing cut. */
  logprobs: number[];
  /** For each token, where they were asked for. */
  alternatives?: TokenLogprob[][];
  /** The prompt's tokens from the second on, where they were to be ranked. */
  prompt?: RankedToken[];
  stopReason: 'stop' | 'length';
}

/** A policy at fixed weights. */
export interface Sampler {
  /**
   * @param onToken told each token as soon as it is sampled
   * @throws AbortError when `signal` fires; what was sampled until then is dropped.
   */
  generate(
    prompt: TokenIds,
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion>;
  /** A conversation that can be continued without recomputing what it already holds. Close it to free its cache. */
  open(prompt: TokenIds): Promise<Conversation>;
}

export interface Conversation {
  /**
   * Samples a continuation of all tokens so far and appends it to them: none where the conversation has become as long as it
   * can be.
   */
  generate(
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion>;
  /** Adds tokens that were not sampled, such as a tool's answer. */
  append(tokens: TokenIds): void;
  close(): void;
}

export interface ScoredSequence {
  tokens: TokenIds;
  /** 1 where the log-probability is wanted, else 0; as long as `tokens`. */
  mask: Uint8Array;
}

/** Where a given token stands among all that could have come in its place. */
export interface RankedToken extends TokenLogprob {
  /** 1: the most probable. */
  rank: number;
  alternatives: TokenLogprob[];
}

export interface Scores {
  /** As long as `tokens`, 0 where `mask` is 0. */
  logprobs: Float32Array;
  /** Entropy of the predicting distribution in nats, where the engine can give it. */
  entropies?: Float32Array;
  /** Where they were asked for, and the engine can give them. */
  alternatives?: Alternatives;
}

/** The most probable tokens in each place, best first: `each` for each token, one after the other; 0 where `mask` is 0. */
export interface Alternatives {
  each: number;
  tokens: Int32Array;
  logprobs: Float32Array;
}

/** A model that says how probable given tokens are: the teacher. */
export interface Scorer {
  /** @param alternatives how many of the most probable tokens to tell in each place; nothing else depends on it. Default 0 */
  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]>;
}

/** One training sequence. All arrays are as long as `tokens`. */
export interface Datum {
  tokens: TokenIds;
  /** What each token's loss is multiplied by in the loss of the batch, means included; 0 where nothing is learned. */
  weights: Float32Array;
  /** Needed by the policy losses. */
  advantages?: Float32Array;
  /** Log-probabilities under the policy that sampled the tokens; needed by the policy losses. */
  behaviourLogprobs?: Float32Array;
}

/**
 * The loss of a batch is the plain sum over its tokens of weight × the token's loss. Policy losses take weight × advantage as
 * one number, rounded to fp32, so that it is all that an engine elsewhere has to be sent.
 */
export type LossSpec =
  | { kind: 'cross_entropy' }
  | { kind: 'importance_sampling' }
  /** `dualClip`: where the advantage is negative, no ratio counts more than this. */
  | { kind: 'ppo'; clipLow: number; clipHigh: number; dualClip: number | 'off' };

export interface LossOutput {
  loss: number;
  /** Tokens with a weight other than 0. */
  tokens: number;
  /** Log-probabilities under the weights of this call, aligned with each datum's tokens. */
  logprobs: Float32Array[];
  /** Means over the trained tokens: entropy always, clipFraction and approxKl for the policy losses. */
  metrics: Record<string, number>;
}

export interface AdamParams {
  learningRate: number;
  betas: [number, number];
  epsilon: number;
  weightDecay: number;
  /** Largest global gradient norm; 0 is no clipping. */
  clipNorm: number;
}

export interface StepStats {
  /** Global gradient norm before clipping. */
  gradNorm: number;
  /** Updates made so far, this one included. */
  version: number;
}

export interface SaveOptions {
  optimizer?: boolean;
  merged?: boolean;
}

/**
 * Its work is done in the order in which it is asked for: an update can be asked for before its gradient is there. All of it is
 * refused with `ModelLost` where an engine elsewhere has lost the model, until `load` brings it back. It scores by the weights
 * as they are.
 */
export interface Trainer extends Scorer {
  /** Whether a sampler keeps its weights until another is asked for; otherwise an update changes them under it. */
  readonly samplesApart?: boolean;
  /** Adds the gradient of the loss over all of `data` to what is accumulated. */
  forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput>;
  /** Clips, updates, clears the gradients. */
  optimStep(adam: AdamParams): Promise<StepStats>;
  /** Samples from the current weights; after an update it samples from the new ones. */
  sampler(): Promise<Sampler>;
  /**
   * Writes a Hugging Face checkpoint, or adapters as PEFT does; with `optimizer`, also all that is needed to go on bit for bit, with
   * `merged`, adapters as the whole model that they make.
   */
  save(dir: string, options?: SaveOptions): Promise<void>;
  /**
   * Replaces the weights, and the optimizer's state where `dir` has one.
   * @throws UserError if `dir` is damaged; with `optimizer`, also if it lacks what is needed to go on bit for bit. The weights
   *   are then undefined until the next `load`.
   */
  load(dir: string, options?: { optimizer?: boolean }): Promise<void>;
  /** Deletes what an engine elsewhere keeps of a checkpoint that is needed no more, where it can; `dir` stays. */
  discard?(dir: string): Promise<void>;
}

/** Adapters that are trained in the place of a model's weights, and what their first ones are drawn from. */
export interface LoraOptions extends LoraShape {
  seed: number;
}

export interface Engine {
  /** With `lora`, adapters are trained over the checkpoint, and saved in its place; without, all weights are. */
  trainer(checkpoint: string, lora?: LoraOptions): Promise<Trainer>;
  scorer(checkpoint: string): Promise<Scorer>;
  sampler(checkpoint: string): Promise<Sampler>;
  /** Frees everything; whatever is under way is rejected. */
  close(): Promise<void>;
}

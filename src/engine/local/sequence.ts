import type { GrammarWalk } from '../../grammar/maskThread.ts';
import type { Weights } from '../../model/weights.ts';
import type { Completion, RankedToken, SampledToken, SamplingOptions, TokenLogprob } from '../types.ts';
import type { Given } from './ranking.ts';
import type { Page } from './siblings.ts';

/** A request under way. `tokens` grows with what is sampled; keys and values exist for its first `cached` tokens. */
export interface Sequence {
  id: number;
  /** Of the model that samples it. */
  weights: Weights;
  tokens: number[];
  promptLength: number;
  logprobs: number[];
  alternatives: TokenLogprob[][];
  options: Required<Omit<SamplingOptions, 'grammar' | 'rankPrompt'>>;
  /** The prompt's tokens from the second on, as far as they are ranked; undefined where that is not asked for. */
  ranked: RankedToken[] | undefined;
  /** Of the most probable tokens beside each of them. */
  rankAlternatives: number;
  walk: GrammarWalk | undefined;
  onToken: ((token: SampledToken) => void) | undefined;
  stop: Set<number>;
  pages: Page[];
  cached: number;
  running: boolean;
  resolve(completion: Completion): void;
  reject(error: Error): void;
}

/** Tokens without keys and values yet: 1 while decoding. */
export function pending(sequence: Sequence): number {
  return sequence.tokens.length - sequence.cached;
}

/** Whether its next token cannot be sampled yet; what comes before it, a prompt, waits as well. */
export function waitsForMask({ walk }: Sequence): boolean {
  return walk !== undefined && walk.mask === undefined;
}

/** Whether tokens of the prompt are still to be ranked. */
export function isRanking({ ranked, promptLength }: Sequence): boolean {
  return ranked !== undefined && ranked.length < promptLength - 1;
}

/** The prompt's tokens that a sequence's next `rows` rows predict; their rows, from `firstRow` on, are added to `wanted`. */
export function toRank(sequence: Sequence, rows: number, wanted: number[], firstRow: number): Given[] {
  const { tokens, cached, promptLength, rankAlternatives: alternatives } = sequence;
  const count = Math.min(rows, promptLength - 1 - cached);
  return Array.from({ length: count }, (_, r) => ({
    row: wanted.push(firstRow + r) - 1,
    token: tokens[cached + r + 1],
    alternatives,
    tell: ranked => sequence.ranked!.push(ranked),
  }));
}

/** Notes in the pages what a step has computed. */
export function remember(sequence: Sequence, rows: number, pageTokens: number): void {
  for (let r = 0; r < rows; r++, sequence.cached++) {
    sequence.pages[Math.floor(sequence.cached / pageTokens)].tokens.push(sequence.tokens[sequence.cached]);
  }
}

/** Whether it pays to wait: `other` is about to compute a page or more that `sequence` can share then. */
export function computesBeginningOf(other: Sequence, sequence: Sequence, pageTokens: number): boolean {
  if (other.weights !== sequence.weights || pending(other) === 1) return false;
  return agreement(other.tokens, sequence.tokens) >= other.cached + pageTokens;
}

function agreement(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

/** Byte-level byte-pair encoding, learned from text (Sennrich et al. 2016; bytes as in GPT-2). */
import { BYTE_CHARACTERS } from '../text/byteLevel.ts';

export interface Bpe {
  /** Tokens in the order of their ids: the 256 bytes, then one token for each merge. */
  tokens: string[];
  /** Pairs of tokens in the order in which an encoder joins them. */
  merges: [left: string, right: string][];
}

/**
 * Learns merges until there are `size` tokens, the 256 bytes included, or no pair is left that occurs `minCount` times.
 * `words` are what the pre-tokenizer makes of the text, with how often each occurs. Equal words and counts, equal result.
 */
export function trainBpe(
  words: ReadonlyMap<string, number>,
  { size, minCount = 2 }: { size: number; minCount?: number },
): Bpe {
  const tokens = BYTE_CHARACTERS.toSorted();
  const merges: Bpe['merges'] = [];
  const sequences = [...words].map(([word, count]) => ({ count, tokens: toByteCharacters(word) }));
  while (tokens.length < size) {
    const pair = mostFrequentPair(sequences, minCount);
    if (!pair) break;
    merges.push(pair);
    tokens.push(pair[0] + pair[1]);
    for (const sequence of sequences) sequence.tokens = joined(sequence.tokens, pair);
  }
  return { tokens, merges };
}

function toByteCharacters(text: string): string[] {
  return Array.from(Buffer.from(text, 'utf8'), byte => BYTE_CHARACTERS[byte]);
}

/** The first in the alphabet where several are equally frequent. */
function mostFrequentPair(
  sequences: { count: number; tokens: string[] }[],
  minCount: number,
): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const { count, tokens } of sequences) {
    for (let i = 1; i < tokens.length; i++) {
      const pair = `${tokens[i - 1]} ${tokens[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best = '';
  let bestCount = 0;
  for (const [pair, count] of counts) {
    const better = count > bestCount || (count === bestCount && pair < best);
    if (count >= minCount && better) [best, bestCount] = [pair, count];
  }
  return best ? (best.split(' ') as [string, string]) : undefined;
}

function joined(tokens: string[], [left, right]: [string, string]): string[] {
  const result: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === left && tokens[i + 1] === right) result.push(tokens[i] + tokens[++i]);
    else result.push(tokens[i]);
  }
  return result;
}

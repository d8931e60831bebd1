/** How GGUF tells of a tokenizer. */

/** Kinds of tokens, as llama.cpp numbers them. */
export const tokenKinds = { normal: 1, control: 3, userDefined: 4, unused: 5 };

/** How text is split before merging, as `tokenizer.json` says it: a part of a pre-tokenizer. */
type Part = Record<string, unknown> & { type: string };

export interface PreTokenizer {
  normalizer: { type: string } | null;
  parts: Part[];
  /** A word that is a token is one, whatever its merges say. */
  ignoreMerges: boolean;
  /** What transformers calls tokenizers of this kind. */
  tokenizerClass: string;
}

const split = (Regex: string): Part => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };

/** The same but for how many digits are a word: one in Qwen, up to three in Llama 3. */
const words = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** By the names that llama.cpp knows them by. */
export const preTokenizers: Record<string, PreTokenizer> = {
  qwen2: {
    normalizer: { type: 'NFC' },
    parts: [split(words('\\p{N}')), byteLevel],
    ignoreMerges: false,
    tokenizerClass: 'Qwen2Tokenizer',
  },
  'llama-bpe': {
    normalizer: null,
    parts: [split(words('\\p{N}{1,3}')), byteLevel],
    ignoreMerges: true,
    tokenizerClass: 'PreTrainedTokenizerFast',
  },
  smollm: {
    normalizer: null,
    parts: [
      { type: 'Digits', individual_digits: true },
      { ...byteLevel, use_regex: true },
    ],
    ignoreMerges: false,
    tokenizerClass: 'PreTrainedTokenizerFast',
  },
};

/** The name of the way in which these parts split text. */
export function preTokenizerName(parts: readonly Part[]): string | undefined {
  return Object.keys(preTokenizers).find(name => signature(preTokenizers[name].parts) === signature(parts));
}

/** What of the parts decides where text is cut. */
function signature(parts: readonly Part[]): string {
  return JSON.stringify(
    parts.map(({ type, pattern, individual_digits, use_regex }) => [
      type,
      (pattern as { Regex?: string } | undefined)?.Regex,
      individual_digits,
      type === 'ByteLevel' ? (use_regex ?? true) : undefined,
    ]),
  );
}

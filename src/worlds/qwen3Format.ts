/** Qwen3's tokenizer files in Hugging Face's format, for any set of byte-level tokens. */
import type { Bpe } from './bpe.ts';
import { CHAT_TEMPLATE } from './chatTemplate.ts';

/** Qwen3's control tokens, as far as dialogues use them. */
const CONTROL_TOKENS = [
  { content: '<|endoftext|>', special: true },
  { content: '<|im_start|>', special: true },
  { content: '<|im_end|>', special: true },
  { content: '<tool_call>', special: false },
  { content: '</tool_call>', special: false },
  { content: '<tool_response>', special: false },
  { content: '</tool_response>', special: false },
  { content: '<think>', special: false },
  { content: '</think>', special: false },
];

export const CONTROL_TOKEN_COUNT = CONTROL_TOKENS.length;

/** How text is cut into words, within which byte pairs are joined; every digit is a word of its own. */
const WORD =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The same for JavaScript, which has no inline flags. */
const WORD_REGEXP = new RegExp(WORD.replace(/^\(\?i:.*?\)/, "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"), 'gu');

/** Text between control tokens and `phrases`. */
export function plainText(dialogue: string, phrases: readonly string[] = []): string[] {
  const cuts = [...CONTROL_TOKENS.map(({ content }) => content), ...phrases];
  return dialogue.split(new RegExp(cuts.map(escapeRegExp).join('|')));
}

/** The words of plain text. */
export function wordsOf(text: string): string[] {
  return text.normalize('NFC').match(WORD_REGEXP) ?? [];
}

export interface TokenizerFiles {
  /** Contents by file name. */
  files: Record<string, object>;
  vocabularySize: number;
}

/** The tokenizer's files: learned tokens, then control tokens, then `phrases` of plain text that are a token each. */
export function tokenizerFiles({ tokens, merges }: Bpe, phrases: readonly string[]): TokenizerFiles {
  const asItIs = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added = [...CONTROL_TOKENS, ...phrases.map(content => ({ content, special: false }))].map((token, i) => ({
    id: tokens.length + i,
    ...token,
    ...asItIs,
  }));
  const [endOfText, , endOfTurn] = added;
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const files = {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: { type: 'NFC' },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Split', pattern: { Regex: WORD }, behavior: 'Isolated', invert: false }, byteLevel],
      },
      post_processor: byteLevel,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges,
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'Qwen2Tokenizer',
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
      additional_special_tokens: added.filter(({ special }) => special).map(({ content }) => content),
      add_prefix_space: false,
      add_bos_token: false,
      bos_token: null,
      eos_token: endOfTurn.content,
      pad_token: endOfText.content,
      unk_token: null,
      clean_up_tokenization_spaces: false,
      split_special_tokens: false,
      chat_template: CHAT_TEMPLATE,
    },
    'generation_config.json': {
      eos_token_id: [endOfTurn.id, endOfText.id],
      pad_token_id: endOfText.id,
      do_sample: true,
      temperature: 1,
    },
  };
  return { files, vocabularySize: tokens.length + added.length };
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

import { UserError } from '../errors.ts';
import type { TokenizerConfig } from '../text/checkpointFiles.ts';
import { parseTokenizer, type TokenizerJson } from '../text/tokenizerJson.ts';
import { type MetadataValue, readGgufHeader } from './header.ts';
import { qwenSplit, tokenKinds } from './tokenFormat.ts';

/**
 * The tokenizer and chat template of a GGUF file, in Hugging Face's format: the same ids for the same text.
 * @throws UserError where the file has none, or one that splits text in another way than Qwen's.
 */
export function readGgufTokenizer(path: string): {
  tokenizer: TokenizerJson;
  config: TokenizerConfig;
  /** All tokens that end what the model says. */
  endTokenIds: number[];
} {
  const { metadata, tensors } = readGgufHeader(path);
  const value = (key: string) => metadata.get(`tokenizer.${key}`);
  const [tokens, kinds, merges] = ['ggml.tokens', 'ggml.token_type', 'ggml.merges'].map(key => value(key));
  if (
    value('ggml.model') !== 'gpt2' ||
    value('ggml.pre') !== 'qwen2' ||
    !isList(tokens) ||
    !isList(kinds) ||
    !isList(merges)
  ) {
    throw new UserError(`${path}: only Qwen's tokenizer and others that split text as it does are read from GGUF`);
  }
  const rows = tensors.find(({ name }) => name === 'token_embd.weight')?.shape[0] ?? tokens.length;
  if (tokens.length > rows) {
    throw new UserError(`${path} is damaged: it has ${tokens.length} tokens, and its model ${rows}; download it again`);
  }
  const vocab = new Map<string, number>();
  const added: TokenizerJson['added_tokens'] = [];
  tokens.forEach((token, id) => {
    const kind = kinds[id];
    if (kind === tokenKinds.normal) {
      if (vocab.has(String(token))) {
        throw new UserError(
          `${path}: the token ${JSON.stringify(token)} has the ids ${vocab.get(String(token))} and ${id}`,
        );
      }
      vocab.set(String(token), id);
    } else if (kind === tokenKinds.control || kind === tokenKinds.userDefined) {
      const asItIs = { single_word: false, lstrip: false, rstrip: false, normalized: false };
      added.push({ id, content: String(token), special: kind === tokenKinds.control, ...asItIs });
    }
  });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const split = { type: 'Split', pattern: { Regex: qwenSplit }, behavior: 'Isolated', invert: false };
  const text = (id: MetadataValue | undefined) => (typeof id === 'number' ? String(tokens[id]) : undefined);
  const tokenizer = {
    version: '1.0',
    added_tokens: added,
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(vocab), merges },
  };
  const ends = ['eos', 'eot', 'eom'].map(end => value(`ggml.${end}_token_id`));
  return {
    tokenizer: parseTokenizer(tokenizer, path),
    endTokenIds: ends.filter(id => typeof id === 'number'),
    config: {
      bos_token: undefined,
      eos_token: text(value('ggml.eos_token_id')),
      pad_token: text(value('ggml.padding_token_id')),
      unk_token: undefined,
      chat_template: value('chat_template') === undefined ? undefined : String(value('chat_template')),
    },
  };
}

function isList(value: MetadataValue | undefined): value is MetadataValue[] {
  return Array.isArray(value);
}

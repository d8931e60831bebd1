import { UserError } from '../errors.ts';
import type { TokenizerConfig } from '../text/tokenizerConfig.ts';
import { parseTokenizer, type TokenizerJson } from '../text/tokenizerJson.ts';
import { type MetadataValue, readGgufHeader } from './header.ts';
import { preTokenizers, tokenKinds } from './tokenFormat.ts';

/**
 * The tokenizer and chat template of a GGUF file, in Hugging Face's format: the same ids for the same text.
 * @throws UserError where the file has none, or one that splits text in a way that is not known here.
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
  const pre = String(value('ggml.pre'));
  const known = value('ggml.model') === 'gpt2' && Object.hasOwn(preTokenizers, pre);
  if (!known || !isList(tokens) || !isList(kinds) || !isList(merges)) {
    throw new UserError(
      `${path}: its tokenizer is ${String(value('ggml.model'))}, which splits text as ${pre}; ` +
        `supported: gpt2, as one of ${Object.keys(preTokenizers).join(', ')}`,
    );
  }
  const { normalizer, parts, ignoreMerges, tokenizerClass } = preTokenizers[pre];
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
  const text = (id: MetadataValue | undefined) => (typeof id === 'number' ? String(tokens[id]) : undefined);
  const tokenizer = {
    version: '1.0',
    added_tokens: added,
    normalizer,
    pre_tokenizer: { type: 'Sequence', pretokenizers: parts },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: { type: 'BPE', ignore_merges: ignoreMerges, vocab: Object.fromEntries(vocab), merges },
  };
  const ends = ['eos', 'eot', 'eom'].map(end => value(`ggml.${end}_token_id`));
  return {
    tokenizer: parseTokenizer(tokenizer, path),
    endTokenIds: ends.filter(id => typeof id === 'number'),
    config: {
      tokenizer_class: tokenizerClass,
      // A file names one even where it never begins a text: llama.cpp would take token 11 for it.
      bos_token: value('ggml.add_bos_token') === false ? undefined : text(value('ggml.bos_token_id')),
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

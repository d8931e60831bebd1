import { Tokenizer } from '@huggingface/tokenizers';
import { UserError } from '../errors.ts';
import type { TokenizerConfig } from './tokenizerConfig.ts';
import { isControl, type TokenizerJson } from './tokenizerJson.ts';

// Text comes in two forms here. *Plain* text is what people read. In *sealed* text every control token is written as
// three high surrogates, which no well-formed string can contain: whatever data spells, it never spells a control token.
const SEAL = /\uDBFF[\uD800-\uDBFF]{2}/g;

/** A checkpoint's BPE tokenizer in which only sealed control tokens become control ids. */
export class SealedTokenizer {
  /** Control tokens as plain text: added tokens that are special or look like markup (`<think>`, `[INST]`). */
  readonly controlTokens: string[];
  readonly #tokenizer: Tokenizer;
  readonly #sealOf = new Map<string, string>();
  readonly #controlOf = new Map<string, string>();
  readonly #idOf = new Map<string, number>();
  readonly #control: RegExp;

  /** Takes over (and changes) the parsed `json`; `path` names its file in errors. */
  constructor(json: TokenizerJson, config: TokenizerConfig, path: string) {
    const controls = json.added_tokens.filter(isControl);
    controls.forEach((token, index) => {
      const seal = String.fromCharCode(0xdbff, 0xd800 + (index >> 10), 0xd800 + (index & 1023));
      this.#sealOf.set(token.content, seal);
      this.#controlOf.set(seal, token.content);
      this.#idOf.set(token.content, token.id);
      if (token.content !== json.model.unk_token) delete json.model.vocab[token.content];
      Object.assign(token, { content: seal, normalized: false });
    });
    this.controlTokens = [...this.#sealOf.keys()];
    const longestFirst = this.controlTokens.toSorted((a, b) => b.length - a.length);
    this.#control = new RegExp(longestFirst.map(escapeRegExp).join('|') || '(?!)', 'g');
    json.model.merges = json.model.merges.filter(
      merge => !this.#sealOf.has(typeof merge === 'string' ? merge.replace(' ', '') : merge.join('')),
    );
    // A text always continues other tokens here: none of its pieces is the very first.
    for (const part of json.pre_tokenizer?.pretokenizers ?? [json.pre_tokenizer]) {
      if (part?.prepend_scheme === 'first') part.prepend_scheme = 'never';
    }
    try {
      this.#tokenizer = new Tokenizer({ ...json, post_processor: null }, config);
    } catch (error) {
      throw new UserError(`${path} is not a tokenizer that can be read: ${(error as Error).message}`);
    }
  }

  /** Trusted text to sealed text: what spells a control token becomes one. */
  seal(trusted: string): string {
    return trusted.replace(this.#control, token => this.#sealOf.get(token)!);
  }

  /** Sealed text as people read it. */
  unseal(sealed: string): string {
    return sealed.replace(SEAL, seal => this.#controlOf.get(seal)!);
  }

  /** Id of a control token, given as plain text. */
  id(controlToken: string): number | undefined {
    return this.#idOf.get(controlToken);
  }

  /** The control token, as plain text, with which sealed text begins. */
  leadingControl(sealed: string): string | undefined {
    return this.#controlOf.get(sealed.slice(0, 3));
  }

  encode(sealed: string): number[] {
    return this.#tokenizer.encode(sealed, { add_special_tokens: false }).ids;
  }

  /** Sealed text of any ids: bytes that are not UTF-8 become U+FFFD, ids without a token are left out. */
  decode(ids: readonly number[]): string {
    const known = ids.filter(id => this.#tokenizer.id_to_token(id) !== undefined);
    return known.length === 0 ? '' : this.#tokenizer.decode(known, { clean_up_tokenization_spaces: false });
  }
}

/** Data without lone surrogates, as UTF-8 would carry it: text that is sealed because it spells no control token. */
export function asData(text: string): string {
  return text.replace(/\p{Cs}/gu, '\uFFFD');
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

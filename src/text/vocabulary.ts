import { readTokenizer } from '../checkpoint/textFiles.ts';
import { BYTE_CHARACTERS } from './byteLevel.ts';
import { isControl, type TokenizerJson, vocabularySize } from './tokenizerJson.ts';

/** What each token of a checkpoint stands for. */
export interface Vocabulary {
  /** One more than the largest id. */
  size: number;
  /** Bytes of the longest token. */
  longest: number;
  /** The bytes that a token adds to a text; undefined for control tokens and ids without a token. */
  bytes(id: number): Uint8Array | undefined;
  /** A control token as people write it; undefined for all other ids. */
  control(id: number): string | undefined;
  /** Id of a control token, given as people write it. */
  controlId(token: string): number | undefined;
}

/** Throws a UserError where the checkpoint's tokenizer is missing or damaged. */
export function readVocabulary(checkpoint: string): Vocabulary {
  return vocabularyOf(readTokenizer(checkpoint));
}

export function vocabularyOf(tokenizer: TokenizerJson): Vocabulary {
  const { model, added_tokens: added, decoder } = tokenizer;
  const bytesOf = JSON.stringify(decoder ?? null).includes('"ByteLevel"') ? byteLevelBytes : pieceBytes;
  const texts: (Uint8Array | undefined)[] = [];
  for (const token in model.vocab) texts[model.vocab[token]] = bytesOf(token);
  const controls = new Map<number, string>();
  for (const token of added) {
    texts[token.id] = isControl(token) ? undefined : Buffer.from(token.content);
    if (isControl(token)) controls.set(token.id, token.content);
  }
  const size = vocabularySize(tokenizer);
  const ids = new Map([...controls].map(([id, content]) => [content, id]));
  return {
    size,
    longest: texts.reduce((most, bytes) => Math.max(most, bytes?.length ?? 0), 0),
    bytes: id => texts[id],
    control: id => controls.get(id),
    controlId: token => ids.get(token),
  };
}

const byteOf: number[] = [];
for (const [byte, character] of BYTE_CHARACTERS.entries()) byteOf[character.charCodeAt(0)] = byte;

/** A token of a byte-level vocabulary: each character stands for a byte. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) bytes[i] = byteOf[token.charCodeAt(i)] ?? 0;
  return bytes;
}

/** A token of a vocabulary of text pieces: `▁` is a space, and `<0x0A>` a byte that no piece has. */
function pieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
  return byte ? Uint8Array.of(Number.parseInt(byte[1], 16)) : Buffer.from(token.replaceAll('▁', ' '));
}

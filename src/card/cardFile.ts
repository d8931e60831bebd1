import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parse } from 'yaml';
import { readText } from '../documents.ts';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';

/** The last line of a card that `sod card` wrote: as long as the hash is that of all before it, nobody has edited it. */
const signature = /\n<!-- written by sod card, sha256 ([0-9a-f]{64}): a card that was edited is not overwritten -->\n$/;

function signed(card: string): string {
  return `${card}\n<!-- written by sod card, sha256 ${sha256(card)}: a card that was edited is not overwritten -->\n`;
}

/** Whether a card is as `sod card` wrote it. */
export function isUnedited(text: string): boolean {
  const match = signature.exec(text);
  return match !== null && match[1] === sha256(text.slice(0, match.index));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The text of a card, if there is one. */
export function readCard(file: string): string | undefined {
  return existsSync(file) ? readText(file) : undefined;
}

/**
 * Writes a card in the place of none or of one that `sod card` wrote.
 * @throws UserError if there is another file, unless `force` says to overwrite it.
 */
export function writeCard(file: string, card: string, force = false): void {
  const before = readCard(file);
  if (before !== undefined && !isUnedited(before) && !force) {
    throw new UserError(
      `${file} was not written by sod card, or was edited since: --force overwrites it, --out writes the card elsewhere`,
    );
  }
  writeFileWhole(file, signed(card));
}

/** The licence that a card states. */
export function licenseOf(card: string): string | undefined {
  const [, metadata] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card) ?? [];
  if (!metadata) return undefined;
  try {
    const { license } = parse(metadata) ?? {};
    return typeof license === 'string' ? license : undefined;
  } catch {
    return undefined;
  }
}

import { readFileSync, type Stats, statSync } from 'node:fs';
import { parse } from 'yaml';
import { UserError } from './errors.ts';
import { onPath } from './systemErrors.ts';

/** Files that are read as a whole: text, JSON, YAML. */

/** The tokenizers of the largest vocabularies have 35 MB. */
const maxBytes = 2 ** 28;

/**
 * Opening a pipe can take for ever, and a device may have no end.
 * @throws UserError where a path is not that of a file
 */
export function refuseOtherThanFile(path: string): Stats {
  const stats = onPath(path, () => statSync(path));
  if (stats.isFile()) return stats;
  const what = stats.isDirectory() ? 'a folder' : 'a pipe or a device';
  throw new UserError(`${path}: it is ${what}, where a file is wanted; name a file`);
}

/** @throws UserError that names the file and says why it cannot be read. */
export function readText(path: string): string {
  return onPath(path, () => {
    const stats = refuseOtherThanFile(path);
    if (stats.size > maxBytes)
      throw new UserError(`${path}: it has ${stats.size} bytes, where at most ${maxBytes} make sense`);
    return readFileSync(path, 'utf8');
  });
}

/** @throws UserError that names the file, and what is no JSON in it. */
export function readJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path}: not valid JSON: ${oneLine(error)}`);
  }
}

/** @throws UserError that names the file, and what is no YAML in it. */
export function readYaml(path: string): unknown {
  return parseYaml(readText(path), path);
}

/** @param source names the text in errors. @throws UserError */
export function parseYaml(text: string, source: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    throw new UserError(`${source}: not valid YAML: ${oneLine(error)}`);
  }
}

/** What a parser says, without what it shows of the text below it. */
function oneLine(error: unknown): string {
  return (error as Error).message.split('\n')[0].slice(0, 200);
}

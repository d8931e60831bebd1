import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserError } from '../errors.ts';

/** A file that a browser loads. */
export interface PageFile {
  type: string;
  content: string;
}

const files = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
};

/** The page as the build made it, by path. @throws UserError where it was not built. */
export function readPage(): Record<string, PageFile> {
  return Object.fromEntries(
    Object.entries(files).map(([path, [name, type]]) => [path, { type, content: readPageFile(name) }]),
  );
}

/** Something that the build of the page made. @throws UserError where it has not. */
export function readPageFile(name: string): string {
  const file = fileURLToPath(new URL(`./page/${name}`, import.meta.url));
  if (!existsSync(file)) throw new UserError(`${file} is missing: run npm run setup`);
  return readFileSync(file, 'utf8');
}

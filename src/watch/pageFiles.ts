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
    Object.entries(files).map(([path, [name, type]]) => {
      const file = fileURLToPath(new URL(`./page/${name}`, import.meta.url));
      if (!existsSync(file)) throw new UserError(`${file} is missing: run npm run setup`);
      return [path, { type, content: readFileSync(file, 'utf8') }];
    }),
  );
}

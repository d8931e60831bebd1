import { pathToFileURL } from 'node:url';
import { refuseOtherThanFile } from './documents.ts';
import { UserError } from './errors.ts';

/**
 * The default export of a module of the person's own.
 * @param what it is meant to be, for messages: `no <what> '<path>': …`
 * @throws UserError if it cannot be loaded
 */
export async function importDefault(path: string, what: string, alternatives: string): Promise<unknown> {
  try {
    refuseOtherThanFile(path);
    const module = await import(pathToFileURL(path).href);
    return module.default;
  } catch (error) {
    const why = String((error as Error)?.message ?? error).split('\n')[0];
    throw new UserError(`no ${what} '${path}': it is neither ${alternatives} nor a module that can be loaded (${why})`);
  }
}

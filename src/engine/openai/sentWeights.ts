import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readCheckpoint } from '../../checkpoint/checkpoint.ts';
import { lockFolder } from '../../folderLock.ts';
import { onPath } from '../../systemErrors.ts';

/** What is written here, whole, unfinished or half replaced: all else in the folder is somebody else's. */
const own = /^\.?policy-(\d+)(\.tmp|\.old)?$/;

/** A folder that a server sees as well, in which weights lie until it has others. */
export class SentWeights {
  readonly #path: string;
  readonly #unlock: () => void;
  #last: number;

  /** @throws UserError if the folder cannot be made, or another process has it */
  constructor(path: string) {
    onPath(path, () => mkdirSync(path, { recursive: true }));
    this.#unlock = lockFolder(path);
    this.#path = path;
    this.#last = Math.max(0, ...this.#names().map(name => Number(own.exec(name)![1])));
  }

  /**
   * Writes a model by `save` where none has been before: servers and network file systems remember paths.
   * @returns its folder, in which all that it takes is there
   */
  async write(save: (folder: string) => Promise<void>): Promise<{ folder: string; version: string }> {
    const folder = join(this.#path, `policy-${++this.#last}`);
    await save(folder);
    readCheckpoint(folder).close();
    return { folder, version: String(this.#last) };
  }

  /** Removes all but what was written last. */
  removeOld(): void {
    this.#remove(name => name !== `policy-${this.#last}`);
  }

  /** Removes everything, and gives the folder back. */
  close(): void {
    this.#remove(() => true);
    this.#unlock();
  }

  #remove(isOld: (name: string) => boolean): void {
    for (const name of this.#names().filter(isOld)) rmSync(join(this.#path, name), { recursive: true });
  }

  #names(): string[] {
    return readdirSync(this.#path).filter(name => own.test(name));
  }
}

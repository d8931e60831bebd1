import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * `sod watch` in a process of its own, beside one that trains: it takes no time from it, no Ctrl-C ends it, and it ends with the
 * one that started it. What it cannot do it says, and the training goes on.
 */
export class WatchBeside {
  readonly #folder: string;
  readonly #say: (address: string) => void;
  #started = false;

  /** `folder` is there when it starts; `say` is told the address. */
  constructor(folder: string, say: (text: string) => void) {
    this.#folder = folder;
    this.#say = say;
  }

  /** Starts, unless it has. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const cli = fileURLToPath(new URL('../cli.js', import.meta.url));
    const child = fork(cli, ['watch', this.#folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], detached: true });
    child.once('message', url => this.#say(`Watch it learn: ${url}`));
    child.once('error', ({ message }) => this.#say(`Nobody can watch it: ${message}`));
    child.unref();
    child.channel?.unref();
  }
}

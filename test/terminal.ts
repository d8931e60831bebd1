import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** A terminal in which a command runs: what is typed goes in as keys, Ctrl-C among them, and what it shows is kept. */
export class Terminal {
  readonly exited: Promise<number | null>;
  readonly #process: ChildProcess;
  #shown = '';
  #read = 0;

  constructor(command: string[]) {
    const quoted = command.map(word => `'${word}'`).join(' ');
    this.#process = spawn('script', ['--quiet', '--flush', '--return', '--command', quoted, '/dev/null']);
    this.#process.stdout!.on('data', data => {
      this.#shown += data;
    });
    this.exited = new Promise(resolve => this.#process.on('exit', resolve));
    onTestFinished(() => void this.#process.kill('SIGKILL'));
  }

  type(keys: string): void {
    this.#process.stdin!.write(keys);
  }

  /** Waits until the screen has shown this behind what was waited for before. @returns all up to its end */
  async shows(text: string): Promise<string> {
    for (;;) {
      const at = this.#shown.indexOf(text, this.#read);
      if (at >= 0) {
        const seen = this.#shown.slice(this.#read, at + text.length);
        this.#read = at + text.length;
        return seen;
      }
      if (this.#process.exitCode !== null) throw new Error(`it ended, having shown: ${this.#shown}`);
      await sleep(20);
    }
  }
}

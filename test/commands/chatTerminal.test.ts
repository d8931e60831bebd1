import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { cli } from '../cli.ts';
import { weatherModel } from '../serve/weatherModel.ts';

const tools = fileURLToPath(new URL('./weatherTools.ts', import.meta.url));

/** A terminal in which a command runs: what is typed goes in as keys, Ctrl-C among them, and what it shows is kept. */
class Terminal {
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

test('a conversation: tools live, Ctrl-C stops an answer and not the program, Ctrl-D leaves', async () => {
  const model = await weatherModel();
  const options = ['--tools', tools, '--temperature', '0'];
  const terminal = new Terminal([process.execPath, '--import', 'tsx', cli, 'chat', model, ...options]);
  await terminal.shows('> ');

  terminal.type('How warm is it in Oslo?\r');
  await terminal.shows('→ weather ');
  await terminal.shows('← 12');
  await terminal.shows('12 °C in Oslo 😀');

  await terminal.shows('> ');
  terminal.type('/reset\r');
  await terminal.shows('> ');
  terminal.type('How warm is it in Rome?\r');
  await terminal.shows('→ weather ');
  terminal.type('\u0003');
  await terminal.shows('Stopped; this exchange is forgotten.');

  await terminal.shows('> ');
  terminal.type('\u0003');
  await terminal.shows('Ctrl-C stops an answer; /exit or Ctrl-D leaves');

  await terminal.shows('> ');
  terminal.type('/messages\r');
  await terminal.shows('\n[]');

  await terminal.shows('> ');
  terminal.type('\u001b[A\u001b[A\u001b[A\u001b[A\r'); // four lines up: the first question
  await terminal.shows('← 12');

  await terminal.shows('> ');
  terminal.type('\u0004');
  expect(await terminal.exited).toBe(0);
});

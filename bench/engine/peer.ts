import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * One of the programs that are compared, in a process of its own: it reads a JSON request a line and answers each with a
 * JSON line. Only one of them works at a time; what it held is gone when it is closed.
 */
export class Peer {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#answers = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  static sod(): Peer {
    return new Peer(process.execPath, ['--import', 'tsx', here('peers/sod.ts')]);
  }

  /** Debian's PyTorch belongs to Debian's Python. */
  static torch(): Peer {
    return new Peer('/usr/bin/python3', [here('peers/torch_qwen3.py')]);
  }

  static llama(): Peer {
    return new Peer(process.execPath, [here('peers/llama.js')]);
  }

  async request<Answer = { seconds: number[] }>(request: Record<string, unknown>): Promise<Answer> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done)
      throw new Error(`${this.#process.spawnargs.join(' ')} ended while it was asked ${JSON.stringify(request)}`);
    return JSON.parse(value) as Answer;
  }

  close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#process.once('close', () => resolve()));
    this.#process.stdin!.end();
    this.#process.kill();
    return closed;
  }
}

function here(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

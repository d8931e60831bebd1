import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * One of the programs that are compared, in a process of its own: it reads a JSON request a line and answers each with a
 * JSON line. Only one of them works at a time; what it held is gone when it is closed.
 */
export class Peer {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor([program, ...args]: readonly string[]) {
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** Starts the program, has it answer `load`, and ends it after `body`. */
  static async with<T>(
    command: readonly string[],
    load: Record<string, unknown>,
    body: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const peer = new Peer(command);
    try {
      await peer.request({ op: 'load', ...load });
      return await body(peer);
    } finally {
      await peer.#close();
    }
  }

  async request<Answer = { seconds: number[] }>(request: Record<string, unknown>): Promise<Answer> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done)
      throw new Error(`${this.#process.spawnargs.join(' ')} ended while it was asked ${JSON.stringify(request)}`);
    const answer = JSON.parse(value) as Answer & { error?: string };
    if (answer.error) throw new Error(`${this.#process.spawnargs.join(' ')}: ${answer.error}`);
    return answer;
  }

  #close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return Promise.resolve();
    const closed = new Promise<void>(resolve => this.#process.once('close', () => resolve()));
    this.#process.stdin!.end();
    this.#process.kill();
    return closed;
  }
}

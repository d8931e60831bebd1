import { setMaxListeners } from 'node:events';
import type { Agent } from 'node:http';
import { abortable } from '../../abortable.ts';
import { UserError } from '../../errors.ts';
import { agentFor, exchange } from '../../http/exchange.ts';
import { broken, Patience, type PatienceOptions, wordsOf } from '../../http/patience.ts';
import { SystemRefusal } from '../../systemErrors.ts';
import { Turnstile } from '../../turnstile.ts';
import { defaultConcurrency } from '../profile.ts';
import { ToolLost, ToolUnreachable } from '../tool.ts';
import { endOf, type ProgramEnd } from './answer.ts';

/** Which server, and what it is asked for at the same time. */
export interface SandboxFusionPlace {
  url: string;
  /** Programs that are under way there at the same time; others wait here. Default 32: a server takes 34 by itself. */
  concurrency?: number;
  /** Most memory of one program. Default: what the server allows. */
  memoryMiB?: number;
}

/** What is run, as a process of its own. */
export interface Program {
  source: string;
  /** All that stands on its standard input. */
  input: string;
  /** Most time of it, on the server's clock, from when it runs there. */
  timeoutMs: number;
}

export interface SandboxFusionOptions extends PatienceOptions {
  /** A call that fails so long is given up, and whoever made it may begin again. Default 2 minutes. */
  patienceMs?: number;
  /**
   * Beside the time that a program may take: the server lets requests wait without a word while it has others, perhaps of other
   * clients. Default 5 minutes.
   */
  mostWaitingMs?: number;
}

/** Of the question whether there is a server at all. */
const pingMs = 60_000;

/**
 * A server of SandboxFusion (github.com/bytedance/SandboxFusion), which runs programs that nobody has read. A run does nothing that
 * lasts, so that what breaks, is refused for now (429, 5xx) or is an error of the server's own is asked for again, with growing
 * pauses; how a program ends is an answer, whatever it is.
 */
export class SandboxFusion {
  readonly concurrency: number;
  readonly memoryMiB: number | undefined;
  readonly #url: string;
  readonly #mostWaitingMs: number;
  readonly #agent: Agent;
  readonly #turnstile: Turnstile;
  readonly #patience: Patience;
  readonly #closing = new AbortController();

  /** @throws UserError where there is no such server, or it runs no Python, with what to do */
  static async open(place: SandboxFusionPlace, options: SandboxFusionOptions = {}): Promise<SandboxFusion> {
    const server = new SandboxFusion(place, options);
    try {
      await server.#check();
      return server;
    } catch (error) {
      server.close();
      throw new UserError(
        `${server.#name} ${(error as Error).message}: start it, such as by ` +
          'docker run -p 127.0.0.1:8080:8080 volcengine/sandbox-fusion:server-20250609, or give another address in tool.url',
      );
    }
  }

  private constructor(
    { url, concurrency = defaultConcurrency, memoryMiB }: SandboxFusionPlace,
    { mostWaitingMs = 300_000, patienceMs = 120_000, ...patience }: SandboxFusionOptions,
  ) {
    // Other clients are given the address with the path.
    this.#url = url.replace(/\/+$/, '').replace(/\/run_code$/, '');
    this.concurrency = concurrency;
    this.memoryMiB = memoryMiB;
    this.#mostWaitingMs = mostWaitingMs;
    this.#agent = agentFor(this.#url);
    this.#turnstile = new Turnstile(concurrency);
    setMaxListeners(0, this.#closing.signal); // every program under way listens
    const advice = 'see to it that it runs, then go on (a run with --resume, from its last checkpoint)';
    this.#patience = new Patience(this.#name, advice, { ...patience, patienceMs });
  }

  get #name(): string {
    return `SandboxFusion at ${this.#url}`;
  }

  /**
   * Runs a program and waits for its end.
   * @throws ToolUnreachable where the server fails for too long; ToolLost where it refuses; AbortError
   */
  async run(program: Program, signal?: AbortSignal): Promise<ProgramEnd> {
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const attempt = () => this.#turnstile.pass(() => this.#once(program, stop));
    try {
      return await this.#patience.with(() => abortable(attempt(), stop), stop);
    } catch (error) {
      if (error instanceof SystemRefusal) throw new ToolUnreachable(error.message);
      if (error instanceof UserError) throw new ToolLost(`${this.#name} ${error.message}`);
      throw error;
    }
  }

  /** What is running fails. */
  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  async #once({ source, input, timeoutMs }: Program, signal: AbortSignal): Promise<ProgramEnd> {
    signal.throwIfAborted();
    const body = JSON.stringify({
      language: 'python',
      code: source,
      stdin: input,
      run_timeout: timeoutMs / 1000,
      ...(this.memoryMiB !== undefined && { memory_limit_MB: this.memoryMiB }),
    });
    const headers = { accept: 'application/json', 'content-type': 'application/json' };
    const silenceMs = timeoutMs + this.#mostWaitingMs;
    const request = { url: `${this.#url}/run_code`, agent: this.#agent, headers, body, signal, silenceMs };
    return endOf(
      await exchange(request).catch(error => {
        throw broken(error);
      }),
    );
  }

  async #check(): Promise<void> {
    const { signal } = this.#closing;
    const ping = { url: `${this.#url}/v1/ping`, agent: this.#agent, headers: {}, signal, silenceMs: pingMs };
    const { status, body } = await exchange(ping).catch(error => {
      throw broken(error);
    });
    if (status !== 200 || !body.includes('pong')) {
      throw new Error(`answered ${status} (${wordsOf(body.toString())}), it is no SandboxFusion`);
    }
    const { exit, stdout, stderr } = await this.#once({ source: 'print(6 * 7)', input: '', timeoutMs: 5000 }, signal);
    if (stdout.trim() !== '42') throw new Error(`runs no Python (${exit}: ${wordsOf(stdout + stderr)})`);
  }
}

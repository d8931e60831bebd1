import type { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { startWorker } from '../worker.ts';
import { type Known, KnownMasks } from './knownMasks.ts';

/** One completion on its way through a grammar. */
export interface GrammarWalk {
  /** What went wrong: the completion cannot go on. */
  readonly error: Error | undefined;
  /** A bit for each token id: whether it may come next; undefined while that is not known yet. Do not change it. */
  readonly mask: Int32Array | undefined;
  /** Goes on by a token that the mask allows. */
  accept(token: number): void;
  /** To be called when the completion has ended. */
  end(): void;
}

export interface MasksOptions {
  checkpoint: string;
  /** Tokens that the model has logits for. */
  size: number;
}

/** `grammar` is JSON: a long text is quickly sent, a large object is not. All but `end` is answered. */
export type ToMasks =
  | { begin: number; grammar: string; stop: readonly number[] }
  | { go: number; tokens: number[] }
  | { end: number };

export type FromMasks =
  | ({ walk: number } & Known)
  | { walk: number; error: { name: string; message: string; stack?: string } };

/** A thread that nobody has needed for so long ends, and gives back all its memory. */
const restMs = 60_000;

/**
 * The masks of one vocabulary, found in a thread of their own: to find one may take long, and the thread that samples has other
 * sequences to go on with.
 */
export class MaskThread {
  readonly #options: MasksOptions;
  readonly #onMask: () => void;
  readonly #walks = new Map<number, RemoteWalk>();
  readonly #known = new KnownMasks();
  #worker: Worker | undefined;
  #rest: NodeJS.Timeout | undefined;
  #nextWalk = 0;

  /** @param onMask told when a walk has a mask, or has failed */
  constructor(options: MasksOptions, onMask: () => void) {
    this.#options = options;
    this.#onMask = onMask;
  }

  /**
   * @param grammar as JSON
   * @param stop the tokens that may come when the text is complete
   */
  follow(grammar: string, stop: readonly number[]): GrammarWalk {
    clearTimeout(this.#rest);
    this.#worker ??= this.#start();
    const id = this.#nextWalk++;
    const walk = new RemoteWalk(
      this.#known,
      tokens => this.#send({ go: id, tokens }),
      () => this.#end(id),
    );
    this.#walks.set(id, walk);
    this.#send({ begin: id, grammar, stop });
    return walk;
  }

  #start(): Worker {
    const worker = startWorker(new URL('./masks.worker.ts', import.meta.url), { workerData: this.#options });
    worker.on('message', (message: FromMasks) => {
      const walk = this.#walks.get(message.walk);
      if (!walk) return;
      if ('error' in message) walk.fail(revive(message.error));
      else walk.arrive(message);
      this.#onMask();
    });
    const end = (error: Error) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const walk of this.#walks.values()) walk.fail(error);
      this.#onMask();
    };
    worker.on('error', error => end(error as Error));
    worker.on('exit', () => end(new Error('the thread that finds masks has ended')));
    worker.unref();
    return worker;
  }

  #send(message: ToMasks): void {
    this.#worker?.postMessage(message);
  }

  #end(id: number): void {
    this.#walks.delete(id);
    this.#send({ end: id });
    if (this.#walks.size === 0) this.#rest = setTimeout(() => this.#stop(), restMs).unref();
  }

  #stop(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#known.clear();
    void worker?.terminate();
  }
}

class RemoteWalk implements GrammarWalk {
  readonly #known: KnownMasks;
  readonly #go: (tokens: number[]) => void;
  readonly end: () => void;
  #at: Known | undefined;
  /** The step that the thread is asked for. */
  #step: { from: Known; token: number } | undefined;
  /** The thread is not told of tokens behind which the mask is known. */
  #untold: number[] = [];
  #error: Error | undefined;

  constructor(known: KnownMasks, go: (tokens: number[]) => void, end: () => void) {
    this.#known = known;
    this.#go = go;
    this.end = end;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  get mask(): Int32Array | undefined {
    return this.#at?.mask;
  }

  accept(token: number): void {
    const from = this.#at!;
    this.#untold.push(token);
    this.#at = this.#known.behind(from, token);
    if (this.#at) return;
    this.#step = { from, token };
    this.#go(this.#untold.splice(0));
  }

  arrive(told: Known): void {
    this.#at = this.#known.learn(told, this.#step);
  }

  fail(error: Error): void {
    this.#error ??= error;
  }
}

function revive({ name, message, stack }: { name: string; message: string; stack?: string }): Error {
  return name === 'UserError' ? new UserError(message) : Object.assign(new Error(message), { name, stack });
}

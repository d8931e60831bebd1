import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { loadPyodide, type PyodideAPI } from 'pyodide';
import { MiddleCut } from '../middleCut.ts';
import { type Boundary, withBoundary } from './boundary.ts';
import { bootstrap } from './cell.ts';
import { Files, HOME, type SessionFiles } from './files.ts';
import { InterpreterMemory, type MemoryImage } from './memory.ts';

export type Outcome = 'ok' | 'exception' | 'timeout';

/** All that one session has in the interpreter while another one runs. */
interface Saved {
  memory: MemoryImage;
  files: SessionFiles;
  draws: number;
}

export interface InterpreterOptions {
  memoryBytes: number;
  /** Most bytes kept of sessions that are not running; beyond it the longest unused ones are forgotten. */
  savedBytes: number;
  maxOutputChars: number;
  /** How a time-out is worded. */
  timeoutMessage: string;
  /** A 2 in its first byte interrupts the running cell. */
  interrupt: SharedArrayBuffer;
}

/** The session that a program is while it runs; those of cells are not negative. */
const PROGRAM = -1;

/** One Python interpreter that many sessions take turns in, each as if it had it for itself. */
export class Interpreter {
  readonly #options: InterpreterOptions;
  readonly #run: (source: string, timeoutMessage: string, isProgram: boolean) => Outcome;
  readonly #boundary: Boundary;
  readonly #memory: InterpreterMemory;
  readonly #files: Files;
  readonly #signals: Uint8Array;
  /** Least recently used first. */
  readonly #saved = new Map<number, Saved>();
  #current: number | undefined;
  #output: MiddleCut;
  /** What is left on standard input. */
  #input = new Uint8Array(0);
  /** Whether standard error is part of the output. */
  #showsErrors = true;

  static async load(options: InterpreterOptions): Promise<Interpreter> {
    const [pyodide, boundary] = await withBoundary(options, () =>
      loadPyodide({
        indexURL: dirname(createRequire(import.meta.url).resolve('pyodide')),
        jsglobals: Object.freeze(Object.create(null)),
        env: { HOME, PYTHONHASHSEED: '0' },
        stdout: () => {},
        stderr: () => {},
      }),
    );
    return new Interpreter(pyodide, boundary, options);
  }

  private constructor(pyodide: PyodideAPI, boundary: Boundary, options: InterpreterOptions) {
    this.#options = options;
    this.#boundary = boundary;
    this.#output = new MiddleCut(options.maxOutputChars);
    const decoder = new TextDecoder();
    const write = (bytes: Uint8Array) => {
      this.#output.push(decoder.decode(bytes, { stream: true }));
      return bytes.length;
    };
    pyodide.setStdin({ read: buffer => this.#readInput(buffer) });
    pyodide.setStdout({ write });
    pyodide.setStderr({ write: bytes => (this.#showsErrors ? write(bytes) : bytes.length) });
    this.#signals = new Uint8Array(options.interrupt);
    pyodide.setInterruptBuffer(this.#signals);
    this.#run = pyodide.runPython(bootstrap);
    this.#files = new Files(pyodide);
    boundary.lock();
    this.#run('', '', false);
    this.#memory = new InterpreterMemory(boundary.instance);
    boundary.draws = 0;
    this.#files.enter();
  }

  has(session: number): boolean {
    return this.#current === session || this.#saved.has(session);
  }

  /** Runs a cell in a session, which starts fresh if it is not there. What this throws has ended the interpreter. */
  run(session: number, source: string): { outcome: Outcome; output: string } {
    return this.#runIn(session, source, false);
  }

  /**
   * Runs a program in an interpreter of its own, which is gone with it. What it writes to standard output is the output.
   * What this throws has ended the interpreter.
   */
  runProgram(source: string, input: string): { outcome: Outcome; output: string } {
    this.#input = new TextEncoder().encode(input);
    this.#showsErrors = false;
    const result = this.#runIn(PROGRAM, source, true);
    this.#showsErrors = true;
    this.#input = new Uint8Array(0);
    this.drop(PROGRAM);
    return result;
  }

  drop(session: number): void {
    if (this.#current === session) {
      this.#files.discard(this.#files.leave());
      this.#memory.restore();
      this.#start();
    } else {
      this.#forget(session);
    }
  }

  #runIn(session: number, source: string, isProgram: boolean): { outcome: Outcome; output: string } {
    if (this.#current !== session) this.#switchTo(session);
    this.#output = new MiddleCut(this.#options.maxOutputChars);
    const isStopped = Atomics.exchange(this.#signals, 0, 0) !== 0;
    if (isStopped) return { outcome: 'timeout', output: `TimeoutError: ${this.#options.timeoutMessage}` };
    const outcome = this.#run(source, this.#options.timeoutMessage, isProgram);
    return { outcome, output: this.#output.toString() };
  }

  #readInput(buffer: Uint8Array): number {
    const bytes = Math.min(buffer.length, this.#input.length);
    buffer.set(this.#input.subarray(0, bytes));
    this.#input = this.#input.subarray(bytes);
    return bytes;
  }

  #switchTo(session: number): void {
    const target = this.#saved.get(session);
    this.#saved.delete(session);
    if (this.#current !== undefined) {
      const memory = this.#memory.capture();
      this.#saved.set(this.#current, { memory, files: this.#files.leave(), draws: this.#boundary.draws });
      this.#memory.restore(target?.memory, memory);
    } else if (target) {
      this.#memory.restore(target.memory);
    }
    if (this.#current !== undefined || target) this.#start(target);
    this.#current = session;
    this.#evict();
  }

  #start(saved?: Saved): void {
    this.#files.enter(saved?.files);
    this.#boundary.draws = saved?.draws ?? 0;
    this.#current = undefined;
  }

  #evict(): void {
    let bytes = 0;
    for (const { memory } of this.#saved.values()) bytes += memory.bytes;
    for (const [session, { memory }] of this.#saved) {
      if (bytes <= this.#options.savedBytes) return;
      bytes -= memory.bytes;
      this.#forget(session);
    }
  }

  #forget(session: number): void {
    const saved = this.#saved.get(session);
    if (saved) this.#files.discard(saved.files);
    this.#saved.delete(session);
  }
}

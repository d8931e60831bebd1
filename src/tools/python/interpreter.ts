import type { PyodideAPI } from 'pyodide';
import { MiddleCut } from '../middleCut.ts';
import type { PythonPackages } from '../packages/store.ts';
import type { Boundary, Drawn } from './boundary.ts';
import { bootstrap } from './cell.ts';
import type { Control } from './control.ts';
import { Files, type SessionFiles } from './files.ts';
import { InterpreterMemory, type MemoryImage } from './memory.ts';
import { type Ended, type InterpreterLimits, timeoutText } from './messages.ts';
import { startPyodide } from './start.ts';

/** All that one session has in the interpreter while another one runs. */
interface Saved {
  memory: MemoryImage;
  files: SessionFiles;
  drawn: Drawn;
}

export interface InterpreterOptions extends InterpreterLimits {
  packages: PythonPackages;
  control: Control;
}

/** The session that a program is while it runs; those of cells are not negative. */
const PROGRAM = -1;

/** One Python interpreter that many sessions take turns in, each as if it had it for itself. */
export class Interpreter {
  readonly #options: InterpreterOptions;
  readonly #run: (source: string, timeoutMessage: string, isProgram: boolean) => string;
  readonly #boundary: Boundary;
  readonly #memory: InterpreterMemory;
  readonly #files: Files;
  /** Least recently used first. */
  readonly #saved = new Map<number, Saved>();
  #current: number | undefined;
  #output = new Output(0);
  /** What is left on standard input. */
  #input = new Uint8Array(0);
  /** Whether standard error is part of the output. */
  #showsErrors = true;

  static async load(options: InterpreterOptions): Promise<Interpreter> {
    const [pyodide, boundary] = await startPyodide(options);
    return new Interpreter(pyodide, boundary, options);
  }

  private constructor(pyodide: PyodideAPI, boundary: Boundary, options: InterpreterOptions) {
    this.#options = options;
    this.#boundary = boundary;
    pyodide.setStdin({ read: buffer => this.#readInput(buffer) });
    pyodide.setStdout({ write: bytes => this.#output.write(bytes) });
    pyodide.setStderr({ write: bytes => (this.#showsErrors ? this.#output.write(bytes) : bytes.length) });
    pyodide.setInterruptBuffer(new Uint8Array(options.control.buffer));
    this.#run = pyodide.runPython(bootstrap);
    this.#files = new Files(pyodide, boundary.randomize);
    boundary.lock();
    this.#run('', '', false);
    this.#memory = new InterpreterMemory(boundary.instance);
    this.#begin();
  }

  has(session: number): boolean {
    return this.#current === session || this.#saved.has(session);
  }

  /** Runs a cell in a session, which starts fresh if it is not there. What this throws has ended the interpreter. */
  run(session: number, source: string): Ended {
    return this.#runIn(session, source, false);
  }

  /**
   * Runs a program in an interpreter of its own, which is gone with it. What it writes to standard output is the output.
   * What this throws has ended the interpreter.
   */
  runProgram(source: string, input: string): Ended {
    this.#input = new TextEncoder().encode(input);
    this.#showsErrors = false;
    const result = this.#runIn(PROGRAM, source, true);
    this.#showsErrors = true;
    this.#input = new Uint8Array(0);
    this.drop(PROGRAM);
    return result;
  }

  drop(session: number): void {
    this.#saved.delete(session);
    if (this.#current !== session) return;
    this.#memory.restore();
    this.#begin();
    this.#current = undefined;
  }

  #runIn(session: number, source: string, isProgram: boolean): Ended {
    if (this.#current !== session) this.#switchTo(session);
    const { maxOutputChars, timeoutMs, control } = this.#options;
    const message = timeoutText(timeoutMs);
    if (control.takeSignal() !== 0) return { ending: 'stopped', output: `TimeoutError: ${message}` };
    this.#output = new Output(maxOutputChars);
    control.limitSleep(timeoutMs);
    const ending = this.#run(source, message, isProgram);
    return { ending: ending === 'ok' || ending === 'stopped' ? ending : 'exception', output: this.#output.end() };
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
      const { drawn } = this.#boundary;
      const memory = this.#memory.capture();
      this.#memory.restore(target?.memory, memory);
      this.#saved.set(this.#current, { memory, files: this.#begin(target), drawn });
    } else if (target) {
      this.#memory.restore(target.memory);
      this.#begin(target);
    }
    this.#current = session;
    this.#evict();
  }

  /** Beside the memory: puts what a session left in its place, or what each begins with; gives the files until now. */
  #begin(saved?: Saved): SessionFiles {
    this.#boundary.drawn = saved?.drawn ?? { bytes: 0, sleptMs: 0 };
    return this.#files.exchange(saved?.files);
  }

  #evict(): void {
    const sizes = [...this.#saved].map(([session, { memory, files }]) => ({
      session,
      bytes: memory.bytes + files.bytes,
    }));
    let bytes = sizes.reduce((sum, saved) => sum + saved.bytes, 0);
    for (const saved of sizes) {
      if (bytes <= this.#options.savedBytes) return;
      bytes -= saved.bytes;
      this.#saved.delete(saved.session);
    }
  }
}

/** What one run writes, to both of its streams. Half a character at its end is shown as such, and does not reach the next. */
class Output {
  readonly #text: MiddleCut;
  readonly #decoder = new TextDecoder();

  constructor(maxChars: number) {
    this.#text = new MiddleCut(maxChars);
  }

  write(bytes: Uint8Array): number {
    this.#text.push(this.#decoder.decode(bytes, { stream: true }));
    return bytes.length;
  }

  end(): string {
    this.#text.push(this.#decoder.decode());
    return this.#text.toString();
  }
}

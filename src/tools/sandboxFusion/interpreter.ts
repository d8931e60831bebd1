/** Python on a SandboxFusion server, in the places of an interpreter here: every call is a process of its own. */
import { timeoutText } from '../python/messages.ts';
import type { PythonResult } from '../python/pool.ts';
import type { Interpreter } from '../python/tool.ts';
import { cell, cellFailed, smallStacks } from './cell.ts';
import type { SandboxFusion } from './server.ts';

/** Runs cells, none of which knows of another. */
export class ServedInterpreter implements Interpreter {
  readonly #server: SandboxFusion;
  readonly #timeoutMs: number;

  constructor(server: SandboxFusion, timeoutMs: number) {
    this.#server = server;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws as SandboxFusion's `run`: failures of the code are in the result */
  async run(source: string, signal?: AbortSignal): Promise<PythonResult> {
    const timeoutMs = this.#timeoutMs;
    const { exit, stdout, stderr } = await this.#server.run(
      { source: cell, input: wellFormed(source), timeoutMs },
      signal,
    );
    const output = stdout + stderr;
    if (exit === 'timeout')
      return { output: told(output, `TimeoutError: ${timeoutText(timeoutMs)}`), error: 'timeout' };
    if (exit === 0) return { output };
    const note = `Error: the interpreter ended with code ${exit}`;
    return { output: exit === cellFailed ? output : told(output, note), error: 'exception' };
  }

  async close(): Promise<void> {}
}

/** Runs whole programs, as tests of code do. */
export class ServedPrograms {
  readonly #server: SandboxFusion;
  readonly #timeoutMs: number;

  constructor(server: SandboxFusion, timeoutMs: number) {
    this.#server = server;
    this.#timeoutMs = timeoutMs;
  }

  /** What it wrote to standard output. @throws as SandboxFusion's `run` */
  async runProgram(source: string, input: string, signal?: AbortSignal): Promise<PythonResult> {
    const program = {
      source: wellFormed(this.#server.memoryMiB === undefined ? source : smallStacks + source),
      input: wellFormed(input),
      timeoutMs: this.#timeoutMs,
    };
    const { exit, stdout } = await this.#server.run(program, signal);
    if (exit === 0) return { output: stdout };
    return { output: stdout, error: exit === 'timeout' ? 'timeout' : 'exception' };
  }

  /** The server is closed by who opened it. */
  async close(): Promise<void> {}
}

/** The line below what was printed. */
function told(output: string, line: string): string {
  return `${output}${output && !output.endsWith('\n') ? '\n' : ''}${line}\n`;
}

/** Without halves of surrogate pairs, which no server can write into a file. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

/** Python on a SandboxFusion server, in the places of an interpreter here: every call is a process of its own. */
import { timeoutText } from '../python/messages.ts';
import type { PythonPool, PythonResult } from '../python/pool.ts';
import type { Interpreter } from '../python/tool.ts';
import { cell, cellFailed, smallStacks } from './cell.ts';
import type { SandboxFusion } from './server.ts';

/** Runs cells, none of which knows of another. They throw as SandboxFusion's `run`: failures of the code are in the result. */
export function servedInterpreter(server: SandboxFusion, timeoutMs: number): Interpreter {
  return {
    async run(source, signal): Promise<PythonResult> {
      const program = { source: cell, input: wellFormed(source), timeoutMs };
      const { exit, stdout, stderr } = await server.run(program, signal);
      const output = stdout + stderr;
      if (exit === 'timeout')
        return { output: told(output, `TimeoutError: ${timeoutText(timeoutMs)}`), error: 'timeout' };
      if (exit === 0) return { output };
      const note = `Error: the interpreter ended with code ${exit}`;
      return { output: exit === cellFailed ? output : told(output, note), error: 'exception' };
    },
    close: leftOpen,
  };
}

/** Runs whole programs, as tests of code do, and gives what they wrote to standard output. They throw as SandboxFusion's `run`. */
export function servedPrograms(server: SandboxFusion, timeoutMs: number): Pick<PythonPool, 'runProgram' | 'close'> {
  return {
    async runProgram(source, input, signal): Promise<PythonResult> {
      const program = {
        source: wellFormed(server.memoryMiB === undefined ? source : smallStacks + source),
        input: wellFormed(input),
        timeoutMs,
      };
      const { exit, stdout } = await server.run(program, signal);
      if (exit === 0) return { output: stdout };
      return { output: stdout, error: exit === 'timeout' ? 'timeout' : 'exception' };
    },
    close: leftOpen,
  };
}

/** The server is closed by who opened it. */
async function leftOpen(): Promise<void> {}

/** The line below what was printed. */
function told(output: string, line: string): string {
  return `${output}${output && !output.endsWith('\n') ? '\n' : ''}${line}\n`;
}

/** Without halves of surrogate pairs, which no server can write into a file. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

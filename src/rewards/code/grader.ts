import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { CodeTests } from '../../data/task.ts';
import { PythonPool, type PythonResult } from '../../tools/python/pool.ts';
import { servedPrograms } from '../../tools/sandboxFusion/interpreter.ts';
import type { SandboxFusion } from '../../tools/sandboxFusion/server.ts';
import type { Judgement } from '../judgement.ts';
import { callOf, checkOf, programOf, syntaxCheck } from './harness.ts';
import { lastPythonBlock } from './pythonBlock.ts';
import { sameOutput } from './sameOutput.ts';
import { sameValue } from './sameValue.ts';

export interface CodeGraderOptions {
  /** Tests that run at the same time. Default: one a core; of a server, as many as it is asked for at once. */
  workers?: number;
  /** Of a test, its own running alone. Default 10,000: WebAssembly is several times slower than Python on the machine itself. */
  timeoutMs?: number;
  /** Of a test in the sandbox here. Default 512 MiB. */
  memoryBytes?: number;
  /** Runs them in the place of the sandbox here, in the memory that it has for a program. */
  server?: SandboxFusion;
}

/** What became of a test; `skipped`: it was not run any more. */
export type Verdict = 'passed' | 'wrong' | 'error' | 'timeout' | 'skipped';

/** `score` is the share of tests that are passed, or −1 where there is no program. */
export interface CodeScore extends Judgement {
  /** One for each test; none where there is no program. */
  verdicts: Verdict[];
}

export interface GradeOptions {
  /** What comes after the first test that is not passed is skipped: enough to know whether the answer is right. */
  untilFailure?: boolean;
  signal?: AbortSignal;
}

/** Output beyond this cannot be what was wanted. */
const MAX_OUTPUT_CHARS = 16 * 2 ** 20;

/** A program that has run out of time so often is not run again. */
const MOST_TIMEOUTS = 3;

const NO_PROGRAM: CodeScore = { score: -1, correct: false, verdicts: [] };

/** Runs programs that a model wrote in the sandbox, or on a server, against tests; the outputs of examples never go in there. */
export class CodeGrader {
  readonly #programs: Pick<PythonPool, 'runProgram' | 'close'>;
  readonly #workers: number;

  constructor({
    server,
    workers = server?.concurrency ?? availableParallelism(),
    timeoutMs = 10_000,
    memoryBytes = 512 * 2 ** 20,
  }: CodeGraderOptions = {}) {
    this.#workers = workers;
    this.#programs = server
      ? servedPrograms(server, timeoutMs)
      : new PythonPool({ workers, timeoutMs, memoryBytes, maxOutputChars: MAX_OUTPUT_CHARS });
  }

  /** Grades the last Python block of an answer. @throws the reason of `signal`; ToolLost where the server fails or refuses. */
  async grade(answer: string, tests: CodeTests, options: GradeOptions = {}): Promise<CodeScore> {
    const code = lastPythonBlock(answer);
    if (code === undefined || (await this.#programs.runProgram(syntaxCheck, code, options.signal)).error)
      return NO_PROGRAM;
    const verdicts = await this.#verdicts(code, tests, options);
    const passed = verdicts.filter(verdict => verdict === 'passed').length;
    return { score: passed / verdicts.length, correct: passed === verdicts.length, verdicts };
  }

  /** Ends all interpreters; what is running fails. */
  async close(): Promise<void> {
    await this.#programs.close();
  }

  /** As many tests at once as there are workers; what counts does not depend on how many those are. */
  async #verdicts(code: string, tests: CodeTests, { untilFailure = false, signal }: GradeOptions): Promise<Verdict[]> {
    const cases = 'checks' in tests ? tests.checks : tests.inputs;
    const verdicts: Verdict[] = [];
    let end = cases.length;
    for (let start = 0; start < end; start += this.#workers) {
      const batch = cases.slice(start, Math.min(end, start + this.#workers));
      verdicts.push(...(await Promise.all(batch.map((_, i) => this.#test(code, tests, start + i, signal)))));
      end = endOf(verdicts, cases.length, untilFailure);
    }
    return cases.map((_, i) => (i < end ? verdicts[i] : 'skipped'));
  }

  async #test(code: string, tests: CodeTests, i: number, signal?: AbortSignal): Promise<Verdict> {
    const { program, input, isRight } = runOf(code, tests, i);
    const { output, error }: PythonResult = await this.#programs.runProgram(program, input, signal);
    if (error) return error === 'timeout' ? 'timeout' : 'error';
    return isRight(output) ? 'passed' : 'wrong';
  }
}

/** What is run for the i-th test, what it reads, and whether what it has written is right. */
function runOf(code: string, tests: CodeTests, i: number) {
  if ('checks' in tests) {
    const passed = randomUUID();
    const program = checkOf(code, tests.checks[i], tests.prefix);
    return { program, input: passed, isRight: (output: string) => lastLine(output) === passed };
  }
  const { inputs, outputs, fnName } = tests;
  const wanted = outputs[i];
  return {
    program: fnName ? callOf(code, fnName) : programOf(code),
    input: inputs[i],
    isRight: (output: string) => (fnName ? sameValue(lastLine(output), wanted) : sameOutput(output, wanted)),
  };
}

function lastLine(output: string): string {
  return output.slice(output.lastIndexOf('\n') + 1);
}

/** How many tests count, as far as that is known from the first verdicts. */
function endOf(verdicts: readonly Verdict[], total: number, untilFailure: boolean): number {
  let timeouts = 0;
  for (const [i, verdict] of verdicts.entries()) {
    if (verdict === 'timeout') timeouts++;
    if ((untilFailure && verdict !== 'passed') || timeouts === MOST_TIMEOUTS) return i + 1;
  }
  return total;
}

import type { CodeTests, Task } from '../data/task.ts';
import type { SandboxFusion } from '../tools/sandboxFusion/server.ts';
import type { CodeGrader } from './code/grader.ts';
import type { MathComparer } from './equivalence/comparer.ts';
import type { Equivalence } from './equivalences.ts';
import type { Judgement } from './judgement.ts';
import { mathReward } from './math.ts';

export interface GraderOptions {
  equivalence: Equivalence;
  /** A program is not run any further after the first test that it fails: enough to know whether it is right. */
  untilFailure?: boolean;
  /** Of one test of a program. */
  testTimeoutMs?: number;
  /** Runs programs in the place of the sandbox here. */
  server?: SandboxFusion;
}

/** Judges answers to the problems of datasets: by their boxes, or as programs that are run. */
export class Grader {
  readonly #options: GraderOptions;
  #comparer?: Promise<MathComparer>;
  #code?: Promise<CodeGrader>;

  constructor(options: GraderOptions) {
    this.#options = options;
  }

  async judge(task: Task, answer: string): Promise<Judgement> {
    if (task.tests) return this.#run(answer, task.tests);
    const { score, correct, predicted } = mathReward(answer, task.answer);
    if (correct || predicted === undefined) return { score, correct };
    for (const right of [task.answer, ...(task.alternatives ?? [])]) {
      if (await this.sameAnswer(predicted, right)) return { score: 1, correct: true };
    }
    return { score, correct };
  }

  /** Whether two answers are the same one. */
  async sameAnswer(a: string, b: string): Promise<boolean> {
    if (a === b || this.#options.equivalence === 'exact') return a === b;
    this.#comparer ??= import('./equivalence/comparer.ts').then(({ MathComparer }) => new MathComparer());
    return (await this.#comparer).equal(a, b);
  }

  async close(): Promise<void> {
    await Promise.all([(await this.#comparer)?.close(), (await this.#code)?.close()]);
  }

  async #run(answer: string, tests: CodeTests): Promise<Judgement> {
    const { untilFailure, testTimeoutMs: timeoutMs, server } = this.#options;
    this.#code ??= import('./code/grader.ts').then(({ CodeGrader }) => new CodeGrader({ timeoutMs, server }));
    return (await this.#code).grade(answer, tests, { untilFailure });
  }
}

import { basename, dirname, join } from 'node:path';
import cliProgress from 'cli-progress';
import type { KeptEvaluation } from '../eval/keptEvaluations.ts';
import type { BenchmarkProgress } from '../eval/problemSets.ts';
import { percentText } from '../report/numbers.ts';
import type { EvalOptions } from './evalOptions.ts';
import { interruptible } from './interrupt.ts';
import type { OpenPolicy } from './policyOptions.ts';
import { trajectorySettings } from './samplingOptions.ts';
import { showDownload } from './showDownload.ts';
import { offeredOf } from './toolOption.ts';

/** Measures a model, called `name` in the results, and prints the table, or JSON. */
export async function evalBenchmarks(
  { engine, folder, servedAs }: OpenPolicy,
  name: string,
  options: EvalOptions,
): Promise<KeptEvaluation[]> {
  const [{ parseBenchmarks }, { evaluateBenchmarks }, { formatResults, resultsJson }, { readPrompts }, kept] =
    await Promise.all([
      import('../eval/benchmarks.ts'),
      import('../eval/evaluateBenchmarks.ts'),
      import('../eval/benchmarkTable.ts'),
      import('../data/prompts.ts'),
      import('../eval/keptEvaluations.ts'),
    ]);
  const benchmarks = parseBenchmarks(options.benchmark!);
  const { samples, runs, equivalence, testTimeout, limit } = options;
  const settings = { samples, runs, ...trajectorySettings(options) };
  const out = options.out ?? join('runs', 'eval', folderName(name));
  const offered = await offeredOf(options, folder, 'paper');
  const prompts = options.prompts ? readPrompts(options.prompts) : undefined;
  const progress = new BenchmarkBar();
  const results = await interruptible(
    signal =>
      evaluateBenchmarks(
        engine,
        folder,
        benchmarks,
        settings,
        { out, name, servedAs, equivalence, testTimeoutMs: 1000 * testTimeout, prompts, limit, ...offered },
        {
          signal,
          concurrency: options.concurrency,
          onDownload: showDownload,
          onNotice: console.error,
          onProgress: state => progress.show(state),
        },
      ),
    'Stopping; the same command goes on from here. Once more to stop at once.',
  ).finally(() => progress.close());
  if (options.json) console.log(JSON.stringify(resultsJson(name, settings, results)));
  else console.log(`${formatResults(name, settings, results)}\nTrajectories and results: ${out}`);
  const grading = { equivalence, testTimeoutMs: 1000 * testTimeout, ...(prompts && { ownPrompts: true }) };
  return results.map(result => kept.benchmarkEvaluation(result, settings, grading));
}

/** What the evaluations of a model are called: those of `student-sod/final` by its run's name. */
function folderName(model: string): string {
  const name = basename(model);
  return name === 'final' ? basename(dirname(model)) : name;
}

/** One live line a benchmark in a terminal, or else a plain line now and then. */
class BenchmarkBar {
  #bar?: cliProgress.SingleBar;
  #name = '';
  #lastLine = 0;

  show({ benchmark: { name }, done, total, average }: BenchmarkProgress): void {
    const score = `${percentText(average, 1)} %`;
    if (!process.stderr.isTTY) {
      if (done < total && performance.now() - this.#lastLine < 10_000) return;
      this.#lastLine = performance.now();
      console.error(`${name}  ${done}/${total}  average ${score}`);
      return;
    }
    if (this.#name !== name) {
      this.close();
      this.#name = name;
      this.#bar = new cliProgress.SingleBar({
        format: `${name}  {bar} {value}/{total}  average {score}  {eta_formatted} left`,
        barsize: 24,
        hideCursor: true,
        gracefulExit: false,
        etaBuffer: 100,
      });
      this.#bar.start(total, done, { score });
    }
    this.#bar?.update(done, { score });
  }

  close(): void {
    this.#bar?.stop();
  }
}

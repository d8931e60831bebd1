import { Command, Option } from 'commander';
import { UserError } from '../errors.ts';
import { benchmarkNames } from '../eval/benchmarks.ts';
import type { KeptEvaluation } from '../eval/keptEvaluations.ts';
import { percentText } from '../report/numbers.ts';
import { equivalences } from '../rewards/equivalences.ts';
import { parseTaskCount } from '../worlds/taskCount.ts';
import { evalBenchmarks } from './evalBenchmarks.ts';
import type { EvalOptions } from './evalOptions.ts';
import { interruptible } from './interrupt.ts';
import { positiveInteger } from './options.ts';
import { type OpenPolicy, openPolicy, serverHelp, withPolicy } from './policyOptions.ts';
import { trajectorySettings, withSampling } from './samplingOptions.ts';
import { showCount } from './showCount.ts';
import { offeredOf, withTools } from './toolOption.ts';

export const evalCommand = () =>
  withSampling(
    withTools(
      withPolicy(
        new Command('eval')
          .description("Measure a model on a world's held-out tasks or on benchmarks: average@k, pass@k and maj@k.")
          .option('--tasks <world[:count]>', 'world, and how many of its held-out tasks', 'shop:100')
          .option(
            '--benchmark <names>',
            `instead of a world, benchmarks: ${benchmarkNames.join(', ')}; name=file is your own`,
          )
          .option('--samples <samples>', 'samples a task (also: --k)', positiveInteger, 32)
          .addOption(new Option('--k <samples>').argParser(positiveInteger).hideHelp())
          .option('--runs <runs>', 'of a benchmark: repetitions, for the deviation', positiveInteger, 1)
          .addOption(
            new Option('--equivalence <how>', 'of a benchmark: whether equal values in other notation count')
              .choices(equivalences)
              .default('exact'),
          )
          .option('--test-timeout <seconds>', 'of a benchmark: most time of one test of a program', positiveInteger, 10)
          .option('--prompts <file>', 'of a benchmark: YAML with templates for kinds of problem')
          .option('--limit <problems>', 'of a benchmark: only the first problems', positiveInteger)
          .option('--out <folder>', 'of a benchmark: where samples and results are kept (default: runs/eval/<name>)')
          .option('--json', 'print the result as JSON; of a world, with the answers to each task'),
      ),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  sod eval runs/demo/student-sod/final
  sod eval runs/demo/student-sod/final --tasks shop:20 --samples 8 --json
  sod eval models/Qwen3-0.6B --benchmark aime24,aime25,gpqa-diamond,livecodebench-v6 --samples 32 --runs 5
  sod eval runs/mine/final --benchmark mine=problems.jsonl --equivalence math
  sod eval models/Qwen3-0.6B --benchmark aime24 --server http://gpu-7:8000 --concurrency 2000

average@k is the mean accuracy over all samples; pass@k: at least one of k is right; maj@k: the most frequent answer is
right. The defaults are the paper's sampling settings: 32 samples, temperature 1.0, top-p 0.6.
Benchmarks keep every trajectory in --out; Ctrl-C stops, and the same command goes on. The figures of a model in a folder are
kept beside it (<folder>.evaluations.json) for its model card, see sod card; not those of a server's.
${serverHelp}`,
    )
    .action(async (checkpoint: string, given: EvalOptions & { k?: number }) => {
      const options = { ...given, samples: given.k ?? given.samples };
      const policy = await openPolicy(checkpoint, options);
      try {
        const evaluations =
          options.benchmark === undefined
            ? await evalWorld(policy, options)
            : await evalBenchmarks(policy, checkpoint, options);
        const isHere = policy.folder === checkpoint && policy.servedAs === undefined;
        if (isHere) await keep(checkpoint, evaluations);
      } finally {
        await policy.engine.close();
      }
    });

/** Keeps the result for the model card; the folder may be one that only its owner writes to. */
async function keep(checkpoint: string, evaluations: KeptEvaluation[]): Promise<void> {
  const { keepEvaluations } = await import('../eval/keptEvaluations.ts');
  await keepEvaluations(checkpoint, evaluations).catch((error: NodeJS.ErrnoException) => {
    if (!error.syscall) throw error;
    console.error(`The result is not kept for the model card: ${error.message}`);
  });
}

/** Measures a model on a world's held-out tasks and prints the result. */
async function evalWorld({ engine, folder }: OpenPolicy, options: EvalOptions): Promise<KeptEvaluation[]> {
  const { world: worldName, count = 100 } = parseTaskCount(options.tasks);
  if (!worldName || count === 0)
    throw new UserError(`--tasks ${options.tasks}: give a world and a number, such as shop:20`);
  const [{ evaluateCheckpoint }, { worldEvaluation }, { refuseTooMany }, { openWorld }] = await Promise.all([
    import('../eval/evaluateCheckpoint.ts'),
    import('../eval/keptEvaluations.ts'),
    import('../eval/sampling.ts'),
    import('../worlds/open.ts'),
  ]);
  const settings = { tasks: count, k: options.samples, ...trajectorySettings(options) };
  refuseTooMany(settings.tasks, settings.k);
  const { world, close } = await openWorld(worldName, await offeredOf(options, folder));
  const result = await interruptible(signal =>
    evaluateCheckpoint(engine, folder, world, settings, {
      signal,
      concurrency: options.concurrency,
      onProgress: (done, total) => showCount(folder, done, total),
    }),
  ).finally(close);
  const kept = [worldEvaluation(worldName, settings, result)];
  if (options.json) {
    console.log(JSON.stringify(result));
    return kept;
  }
  const percent = (fraction: number) => `${percentText(fraction, 2)} %`;
  const { k, average, standardError, passAtK, majorityAtK, diagnostics } = result;
  console.log(
    `average@${k}     ${percent(average)}  ± ${percent(standardError)} (standard error over ${result.tasks.length} tasks)`,
  );
  console.log(`pass@${k}        ${percent(passAtK)}`);
  console.log(`maj@${k}         ${percent(majorityAtK)}`);
  console.log(
    `tool success   ${percent(diagnostics.toolSuccessRate)} of ${diagnostics.toolTurns.toFixed(1)} calls a trajectory`,
  );
  console.log(`response       ${diagnostics.responseTokens.toFixed(0)} tokens`);
  return kept;
}

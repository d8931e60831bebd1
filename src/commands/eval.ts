import { Command } from 'commander';
import { UserError } from '../errors.ts';
import { percentText } from '../report/numbers.ts';
import { interruptible } from './interrupt.ts';
import { nonNegativeInteger, nonNegativeNumber, positiveInteger } from './options.ts';
import { showCount } from './showCount.ts';

interface Options {
  tasks: string;
  k: number;
  temperature: number;
  topP: number;
  maxTurns: number;
  maxTokens: number;
  seed: number;
  json?: boolean;
}

export const evalCommand = () =>
  new Command('eval')
    .description('Measure a model on held-out tasks: average@k, pass@k and maj@k.')
    .argument('<checkpoint>', 'folder of a model in Hugging Face layout')
    .option('--tasks <world[:count]>', 'world, and how many of its held-out tasks', 'shop:100')
    .option('--k <samples>', 'samples a task', positiveInteger, 32)
    .option('--temperature <t>', 'of sampling; 0 is greedy', nonNegativeNumber, 1)
    .option('--top-p <p>', 'smallest set of tokens whose probabilities reach p', nonNegativeNumber, 0.6)
    .option('--max-turns <turns>', 'most turns of a trajectory', positiveInteger, 16)
    .option('--max-tokens <tokens>', 'most sampled and observed tokens of a trajectory', positiveInteger, 20_480)
    .option('--seed <seed>', 'of sampling', nonNegativeInteger, 0)
    .option('--json', 'print the result as JSON, with the answers to each task')
    .addHelpText(
      'after',
      `
Examples:
  sod eval runs/demo/student-sod/final
  sod eval runs/demo/student-sod/final --tasks shop:20 --k 8 --json

average@k is the mean accuracy over all samples; pass@k: at least one of k is right; maj@k: the most frequent answer is
right. The defaults are the paper's sampling settings: k 32, temperature 1.0, top-p 0.6.`,
    )
    .action(async (checkpoint: string, options: Options) => {
      const [, worldName, count] = /^(.+?)(?::(\d+))?$/.exec(options.tasks) ?? [];
      if (!worldName || count === '0')
        throw new UserError(`--tasks ${options.tasks}: give a world and a number, such as shop:20`);
      const [{ LocalEngine }, { evaluateCheckpoint }, { openWorld }] = await Promise.all([
        import('../engine/local/engine.ts'),
        import('../eval/evaluateCheckpoint.ts'),
        import('../worlds/open.ts'),
      ]);
      const settings = { ...options, tasks: Number(count ?? 100), maxResponseTokens: options.maxTokens };
      const { world, close } = await openWorld(worldName);
      const engine = await LocalEngine.start({ onNotice: console.error });
      const result = await interruptible(signal =>
        evaluateCheckpoint(engine, checkpoint, world, settings, {
          signal,
          onProgress: (done, total) => showCount(checkpoint, done, total),
        }),
      ).finally(() => Promise.all([engine.close(), close()]));
      if (options.json) return console.log(JSON.stringify(result));
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
    });

import { Command, Option } from 'commander';
import { parseDataset } from '../data/dataset.ts';
import { UserError } from '../errors.ts';
import { stringifyJson } from '../json.ts';
import { type Equivalence, equivalences } from '../rewards/equivalences.ts';
import type { ToolOptions } from '../worlds/kit.ts';
import { parseTaskCount } from '../worlds/taskCount.ts';
import { interruptible } from './interrupt.ts';
import { number, positiveInteger } from './options.ts';
import { openPolicy, type PolicyOptions, serverHelp, withPolicy } from './policyOptions.ts';
import { type SamplingOptions, trajectorySettings, withSampling } from './samplingOptions.ts';
import { showCount } from './showCount.ts';
import { showDownload } from './showDownload.ts';
import { offeredOf, type ToolsOption, withTools } from './toolOption.ts';

interface Options extends SamplingOptions, PolicyOptions, ToolsOption {
  tasks?: string;
  dataset?: string;
  limit?: number;
  samples: number;
  minScore: number;
  equivalence: Equivalence;
  out: string;
}

export const collectCommand = () =>
  withSampling(
    withTools(
      withPolicy(
        new Command('collect')
          .description('Let a model solve tasks with its tools, and keep what it did well as demonstrations for sft.')
          .option('--tasks <world:count>', 'a world, and how many of its training tasks')
          .option(
            '--dataset <source>',
            'instead of a world: a file or folder of problems, or hf: and a name on the Hub',
          )
          .option('--limit <problems>', 'of a dataset: only the first problems', positiveInteger)
          .option('--samples <samples>', 'trajectories a task', positiveInteger, 4)
          .option('--min-score <score>', 'least score that is kept; 1 is right, less is not', number, 1)
          .addOption(
            new Option('--equivalence <how>', 'of a dataset: whether equal values in other notation count')
              .choices(equivalences)
              .default('exact'),
          )
          .requiredOption('--out <file>', 'JSON lines with messages and tools'),
      ),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  sod collect runs/teacher/final --tasks ./my-world.mjs:1000 --out demonstrations.jsonl
  sod collect models/my-teacher --dataset problems.jsonl --samples 8 --out demonstrations.jsonl
  sod train my-sft.yaml --set dataset=demonstrations.jsonl

Trajectories that a limit ended, or in which a call could not be parsed, are not kept, whatever their score.
Ctrl-C stops, and the same command goes on; the file is written when all is sampled.
${serverHelp}`,
    )
    .action(async (checkpoint: string, options: Options) => {
      if (!options.tasks === !options.dataset)
        throw new UserError('give either --tasks, such as shop:1000, or --dataset, such as problems.jsonl');
      const [{ collect }, { existsSync }, { withoutAddress }] = await Promise.all([
        import('../collect/collect.ts'),
        import('node:fs'),
        import('../tools/profile.ts'),
      ]);
      const { out, minScore, samples } = options;
      if (existsSync(out)) throw new UserError(`${out} already exists: choose another file or remove it`);
      const { engine, folder, servedAs } = await openPolicy(checkpoint, options);
      try {
        const offered = await offeredOf(options, folder);
        const { range, source, serverTools, close } = options.tasks
          ? await openTaskRange(options.tasks, offered)
          : await openProblems(options, offered);
        const { kept, total } = await interruptible(
          signal =>
            collect(
              engine,
              folder,
              range,
              { samples, runs: 1, ...trajectorySettings(options) },
              {
                out,
                minScore,
                source: [source, withoutAddress(offered.tool), ...serverTools]
                  .map(part => (typeof part === 'string' ? part : stringifyJson(part)))
                  .join(', '),
                servedAs,
              },
              {
                signal,
                concurrency: options.concurrency,
                onProgress: ({ done, total, kept }) => showCount(`${kept} kept of`, done, total),
              },
            ),
          'Stopping; the same command goes on from here. Once more to stop at once.',
        ).finally(close);
        console.log(`${out} holds ${kept} demonstrations, of ${total} trajectories`);
      } finally {
        await engine.close();
      }
    });

async function openTaskRange(tasks: string, offered: ToolOptions) {
  const { world: name, count } = parseTaskCount(tasks);
  if (!name || !count) throw new UserError(`--tasks ${tasks}: give a world and a number, such as shop:1000`);
  const { openWorld } = await import('../worlds/open.ts');
  const { world, ...opened } = await openWorld(name, offered);
  return { range: { world, split: 'train' as const, tasks: count }, source: name, ...opened };
}

async function openProblems({ dataset, limit, equivalence }: Options, offered: ToolOptions) {
  const { openDatasetWorld } = await import('../worlds/dataset.ts');
  const control = { onDownload: showDownload, onNotice: console.error };
  const { world, digest, ...opened } = await openDatasetWorld(
    parseDataset(dataset!),
    { equivalence, limit, offered },
    control,
  );
  return { range: { world, split: 'train' as const, tasks: world.size }, source: digest, ...opened };
}

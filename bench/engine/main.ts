/**
 * The engine against what a user would pick instead, on the same work in one run: `npm run bench:engine`.
 * Ratios and medians; absolute numbers belong to this machine and this hour.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import type { Bench } from './bench.ts';
import { type Figure, judge, table } from './figure.ts';
import { measureGpu, type Shape, shapes } from './gpu.ts';
import { programs, type TorchName, torchNames } from './install.ts';
import { type Limit, limitPrograms, limits } from './limit.ts';
import { measurements } from './measurements/index.ts';
import { prepareModels } from './models.ts';
import { Sod } from './sod.ts';

const names = Object.keys(measurements);
const program = new Command('bench:engine')
  .description('Measure the engine against PyTorch, TRL, llama.cpp, matrix products alone and memory.')
  .option('--json', 'print the figures as JSON and nothing else on standard output')
  .option('--only <names>', `some of: ${names.join(', ')}`, value => value.split(','))
  .addOption(
    new Option(
      '--device <device>',
      'gpu: its own figures, training, scoring, prefill and decode, against PyTorch on it',
    )
      .choices(['cpu', 'gpu'])
      .default('cpu'),
  )
  .addOption(
    new Option('--shape <shape>', 'of the model on a GPU; tiny: to try the measurement')
      .choices(shapes)
      .default('0.6b'),
  )
  .option('--pairs <count>', 'how often the sides take turns', Number, 5)
  .addOption(
    new Option(
      '--isa <isa>',
      'limit every program to what a smaller machine has; default: all that this one has',
    ).choices(limits),
  )
  .addOption(
    new Option('--torch <version>', "PyPI's PyTorch with transformers' Qwen3, Debian's with a plain one, or both")
      .choices([...torchNames, 'both'])
      .default('current'),
  )
  .option(
    '--models <folder>',
    'where the random models are kept',
    fileURLToPath(new URL('../../runs/bench', import.meta.url)),
  )
  .parse();
const options = program.opts<{
  json?: boolean;
  only?: string[];
  device: 'cpu' | 'gpu';
  shape: Shape;
  pairs: number;
  isa?: Limit;
  torch: TorchName | 'both';
  models: string;
}>();

const figures = options.device === 'gpu' ? await ofGpu() : await ofCpu();
console.log(options.json ? JSON.stringify(figures, null, 2) : table(figures));

function ofGpu(): Promise<Figure[]> {
  const { only, shape, pairs, models } = options;
  return measureGpu({ programs: programs(), threads: availableParallelism(), folder: models, only, shape, pairs });
}

async function ofCpu(): Promise<Figure[]> {
  const chosen = options.only ?? names;
  const unknown = chosen.find(name => !names.includes(name));
  if (unknown) program.error(`error: no measurement '${unknown}'; there are ${names.join(', ')}`);

  limitPrograms(options.isa);
  const installed = programs(options.isa);
  const { isa, bf16 } = await Sod.with({ programs: installed }, {}, sod => sod.cpu());
  const bench: Bench = {
    precision: bf16 ? 'bf16' : 'f32',
    threads: availableParallelism(),
    models: await prepareModels(options.models),
    programs: installed,
    torches: options.torch === 'both' ? torchNames : [options.torch],
    pairs: options.pairs,
  };
  const figures: Figure[] = [];
  for (const name of chosen) {
    process.stderr.write(`${name} (${isa})\n`);
    figures.push(...(await measurements[name](bench)).map(measured => judge(measured, isa)));
  }
  return figures;
}

/**
 * The engine against what a user would pick instead, on the same work in one run: `npm run bench:engine`.
 * Ratios and medians; absolute numbers belong to this machine and this hour.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { type Figure, measurements } from './figures.ts';
import { installPeers, prepareModels } from './prepare.ts';

const names = Object.keys(measurements);
const program = new Command('bench:engine')
  .description('Measure the engine against PyTorch, llama.cpp and the matrix product alone.')
  .option('--json', 'print the figures as JSON and nothing else on standard output')
  .option('--only <names>', `some of: ${names.join(', ')}`, value => value.split(','))
  .option('--pairs <count>', 'how often the sides take turns', Number, 2)
  .option(
    '--models <folder>',
    'where the random models are kept',
    fileURLToPath(new URL('../../runs/bench', import.meta.url)),
  )
  .parse();
const options = program.opts<{ json?: boolean; only?: string[]; pairs: number; models: string }>();

const chosen = options.only ?? names;
const unknown = chosen.find(name => !names.includes(name));
if (unknown) program.error(`error: no measurement '${unknown}'; there are ${names.join(', ')}`);

installPeers();
const models = await prepareModels(options.models);
const figures: Figure[] = [];
for (const name of chosen) {
  process.stderr.write(`${name}\n`);
  figures.push(...(await measurements[name]({ models, threads: availableParallelism(), pairs: options.pairs })));
}
console.log(options.json ? JSON.stringify(figures, null, 2) : table(figures));

function table(lines: Figure[]): string {
  const width = Math.max(...lines.map(({ figure }) => figure.length));
  return lines
    .map(({ figure, value, unit, target, meets }) => {
      const measured = `${value.toFixed(2)} ${unit}`.trim();
      return `${figure.padEnd(width)}  ${measured.padStart(10)}   target ${target} ${unit}${meets ? '' : '   missed'}`;
    })
    .join('\n');
}

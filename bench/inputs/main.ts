/**
 * What commands do with bad input: `npm run bench:inputs`. A thousand seeded mutations of recipes, comparisons, options, weights,
 * tokenizers, templates and data are given to all commands; counted are those that are accepted and make no sense, end in an
 * internal error, hang, or leave something behind. No peer takes part.
 */
import { Command } from 'commander';
import { attack } from './attack.ts';

const program = new Command('bench:inputs')
  .description('How many bad inputs are refused as they should be.')
  .option('--inputs <count>', 'how many', Number, 1000)
  .option('--seed <number>', 'of the mutations', Number, 1)
  .option('--first <number>', 'number of the first one', Number, 0)
  .parse();
const { inputs, seed, first } = program.opts<{ inputs: number; seed: number; first: number }>();

const outcomes = await attack(
  { seed, first, end: first + inputs, patienceMs: 60_000 },
  ({ ended, mutation, args, problem }) => {
    if (problem) console.log(`${ended} (${mutation}) sod ${args.join(' ').slice(0, 200)}: ${problem}`);
  },
);
const wrong = outcomes.filter(({ problem }) => problem).length;
console.log(`${outcomes.length - wrong} of ${outcomes.length} inputs were taken as they should be (seed ${seed})`);
process.exitCode = wrong > 0 ? 1 : 0;

/**
 * What guards say: `npm run bench:guards`. Of runs that have been made, such as those of the demo and of a comparison, whether
 * their guard would have named them; with `--collapse`, when it names a run of the demo's SOD that is made to collapse, and
 * which model is kept as the best.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { LocalEngine } from '../src/engine/local/engine.ts';
import { evaluationOf } from '../src/train/evaluationMetrics.ts';
import { departures, formatDepartures } from '../src/train/guard.ts';
import { loadRecipe } from '../src/train/recipe.ts';
import { readMetrics, readRecipe } from '../src/train/runDirectory.ts';
import { train } from '../src/train/train.ts';
import { collapsingEngine } from './collapsingEngine.ts';

const program = new Command('bench:guards')
  .argument('[folders...]', 'with runs in them, such as runs/demo runs/compare')
  .option('--collapse <demo>', 'folder of a demo, from whose models a run starts that collapses after ten iterations')
  .parse();
const { collapse } = program.opts<{ collapse?: string }>();
if (program.args.length === 0 && !collapse) program.help({ error: true });

const runs = program.args.flatMap(runsIn);
const named = runs.filter(isNamed);
if (runs.length > 0) console.log(`${named.length} of ${runs.length} runs are named by their guards`);
if (collapse) await collapseOn(collapse);
if (named.length > 0) process.exitCode = 1;

/** The runs of policies in a folder; supervised ones have nothing to guard. */
function runsIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const found = files.filter(file => file.endsWith('metrics.jsonl')).map(file => join(folder, dirname(file)));
  return found.filter(run => existsSync(join(run, 'recipe.yaml')) && readRecipe(run).method !== 'sft').sort();
}

function isNamed(run: string): boolean {
  const recipe = readRecipe(run);
  const lines = readMetrics(run);
  if (recipe.method === 'sft') return false;
  for (const [i, { iteration }] of lines.entries()) {
    const outside = departures(lines.slice(0, i + 1), recipe.guard);
    if (outside.length === 0) continue;
    console.log(`${run}: ${formatDepartures(outside, iteration, recipe.guard)}`);
    return true;
  }
  console.log(`${run}: ${recipe.method}, ${lines.length} iterations, not named`);
  return false;
}

async function collapseOn(demo: string): Promise<void> {
  const goodIterations = 10;
  const recipe = await loadRecipe('recipes/demo/student-sod.yaml', {
    model: join(demo, 'student-sft/final'),
    teacher: join(demo, 'teacher-grpo/final'),
    training: { iterations: 2 * goodIterations },
    optimizer: { schedule: 'constant' },
    evaluate: { every: 5, tasks: 40, samples: 4 },
  });
  if (recipe.method === 'sft') throw new Error('student-sod.yaml samples no policy');
  const { promptsPerIteration, promptsPerUpdate } = recipe.training;
  const engine = await LocalEngine.start({});
  const runDir = mkdtempSync(join(tmpdir(), 'sod-collapse-'));
  try {
    const { metrics, best } = await train(recipe, {
      runDir,
      engine: collapsingEngine(engine, (goodIterations * promptsPerIteration) / promptsPerUpdate),
      onProgress: event => event.kind === 'notice' && console.log(event.notice),
    });
    for (const line of metrics) {
      const average = evaluationOf(line)?.average;
      const figures = {
        accuracy: line.accuracy,
        reverseKl: line.reverseKl,
        toolTurns: line.toolTurns,
        evaluation: average,
      };
      console.log(line.iteration, JSON.stringify(figures));
    }
    const first = metrics.find(({ outOfBand }) => outOfBand);
    console.log(
      `the learning rate rose after iteration ${goodIterations}; named: iteration ${first?.iteration ?? 'never'}; ` +
        `best/ is the model of iteration ${best!.iteration}`,
    );
  } finally {
    await engine.close();
    rmSync(runDir, { recursive: true });
  }
}

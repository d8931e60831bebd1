/**
 * SkyRL's server (PyPI's `skyrl`, JAX on the CPU) as the engine of SOD: `npm run bench:skyrl`. An adapter is trained there by the
 * updates of a run recorded here, without clipping; before each, its weights come home, and losses and log-probabilities there
 * must be those here. Then `sod train` makes a run of its own there, is stopped and resumed, and `sod eval` takes what came home.
 * The server starts in minutes, and compiles for every length: that is kept for the next time. Python 3.12 or newer is needed.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { smallShape } from '../smallSodRun.ts';
import { runThere } from './skyrlRun.ts';
import { skyrlVersion, startSkyrl } from './skyrlServer.ts';
import { compareUpdates } from './skyrlUpdates.ts';

const folder = fileURLToPath(new URL('../../runs/bench/skyrl', import.meta.url));
mkdirSync(folder, { recursive: true });
const models = { student: await apprentice('student', 1), teacher: await apprentice('teacher', 2) };
const url = startSkyrl(folder, models.student);
console.log(`SkyRL ${skyrlVersion} on the CPU, and the engine here, in float32`);
const isSame = await compareUpdates(url, models, folder);
const isDone = await runThere(url, models, folder);
process.exit(isSame && isDone ? 0 : 1);

/** A model that has learned to call the shop's tools, if not how to solve its tasks: made once. */
async function apprentice(name: string, seed: number): Promise<string> {
  const runDir = join(folder, 'models', name);
  const recipe = parseRecipe({
    method: 'sft',
    seed,
    init: smallShape,
    training: { demonstrations: 300, epochs: 6, batchSize: 16 },
    optimizer: { learningRate: 1e-2 },
  });
  const { checkpoint } = await train(recipe, { runDir, resume: existsSync(join(runDir, 'recipe.yaml')) });
  return checkpoint;
}

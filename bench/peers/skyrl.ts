/**
 * SkyRL's server (PyPI's `skyrl`, JAX on the CPU) as the engine of SOD: `npm run bench:skyrl`. An adapter is trained there by the
 * updates of a run recorded here, without clipping; before each, its weights come home, and losses and log-probabilities there
 * must be those here. Then `sod train` makes a run of its own there, is stopped and resumed, and `sod eval` takes what came home.
 * The first time takes half an hour on two cores: the server starts in minutes, and compiles for every length.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeSmallModels } from '../smallSodRun.ts';
import { runThere } from './skyrlRun.ts';
import { skyrlVersion, startSkyrl } from './skyrlServer.ts';
import { compareUpdates } from './skyrlUpdates.ts';

const folder = fileURLToPath(new URL('../../runs/bench/skyrl', import.meta.url));
mkdirSync(folder, { recursive: true });
const models = await writeSmallModels(folder);
const url = startSkyrl(folder, models.student);
console.log(`SkyRL ${skyrlVersion} on the CPU, and the engine here, in float32`);
const isSame = await compareUpdates(url, models, folder);
const isDone = await runThere(url, models, folder);
process.exit(isSame && isDone ? 0 : 1);

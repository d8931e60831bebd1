import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Trainer } from '../../src/engine/types.ts';
import { UserError } from '../../src/errors.ts';
import type { Learner } from '../../src/train/learner.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { goOn } from '../../src/train/resume.ts';
import {
  holdsRun,
  newestTrajectory,
  RunDirectory,
  readMetrics,
  readRecipe,
  readTrajectories,
} from '../../src/train/runDirectory.ts';
import { type KeptTrajectory, readIndex, readTrajectory, writeTrajectories } from '../../src/train/trajectoryFile.ts';

const recipe = parseRecipe({ method: 'sft', model: '/nowhere', save: { keep: 3 } });
const newFolder = () => join(mkdtempSync(join(tmpdir(), 'sod-run-')), 'run');

async function save(dir: string) {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'weights'), 'w');
}

/** A run of 2 updates an iteration that has come to iteration 5, with checkpoints of 2, 3 and 4. */
function interrupted(): string {
  const path = newFolder();
  cpSync(original, path, { recursive: true });
  return path;
}

async function interrupt(path: string): Promise<void> {
  const run = RunDirectory.create(path, recipe);
  run.begin();
  for (let iteration = 1; iteration <= 5; iteration++) {
    run.log({ iteration, update: 2 * iteration });
    if (iteration <= 4) await run.checkpoint({ iteration, update: 2 * iteration }, save);
  }
  run.logTrajectories(5, [sample]);
  run.close();
}

const sample: KeptTrajectory = {
  task: 'one',
  sample: 0,
  reward: 1,
  correct: true,
  end: 'answer',
  pattern: 'stable',
  steps: [
    { text: 'thought', observation: 'seen', tokens: ['thou', 'ght'], logprobs: [-0.5, 0], divergence: 0.25, weight: 1 },
    { text: 'answer', tokens: ['answer'], logprobs: [-1], divergence: 0.125, weight: 1.2, gaps: [0.25] },
  ],
  prompt: 'question\n',
};

const original = newFolder();
await interrupt(original);

/** Goes on with a run; a checkpoint without weights is damaged for its engine. */
async function resumed(path: string) {
  const notices: string[] = [];
  const trainer: Partial<Trainer> = {
    async load(dir) {
      if (!existsSync(join(dir, 'weights'))) throw new UserError(`${dir} has no weights`);
    },
  };
  const learner: Partial<Learner> = { iterations: 8, updatesPerIteration: 2 };
  const run = RunDirectory.resume(path);
  try {
    run.begin();
    const { iteration } = await goOn(run, trainer as Trainer, learner as Learner, notice => notices.push(notice));
    expect(readMetrics(path).map(line => line.iteration)).toEqual(Array.from({ length: iteration }, (_, i) => i + 1));
    return { iteration, notices };
  } finally {
    run.close();
  }
}

test('a resumed run goes on from its last complete checkpoint and forgets what came after', async () => {
  const path = interrupted();
  appendFileSync(join(path, 'metrics.jsonl'), '{"iteration":6,"upd');
  // A save that a kill cut short.
  await expect(
    RunDirectory.resume(path).checkpoint({ iteration: 5, update: 10 }, async dir => {
      await save(dir);
      throw new Error('killed');
    }),
  ).rejects.toThrow('killed');
  rmSync(join(path, 'lock'));
  expect(readRecipe(path)).toEqual(recipe);
  expect(readdirSync(join(path, 'checkpoints'))).toContain('.000010.tmp');

  expect(await resumed(path)).toEqual({ iteration: 4, notices: [] });
  expect(readdirSync(join(path, 'checkpoints'))).toEqual(['000004', '000006', '000008']);
});

const inCheckpoint = (name: string, content: string) => (path: string) =>
  writeFileSync(join(path, 'checkpoints', '000008', name), content);
const damageLine = (number: number, text: string) => (path: string) => {
  const file = join(path, 'metrics.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  lines[number - 1] = text;
  writeFileSync(file, lines.join('\n'));
};

test.each<[string, (path: string) => void, number, RegExp]>([
  ['no progress', path => rmSync(join(path, 'checkpoints/000008/progress.json')), 3, /progress\.json.*missing/],
  ['an empty progress', inCheckpoint('progress.json', ''), 3, /progress\.json is damaged/],
  ['half a progress', inCheckpoint('progress.json', '{"iteration":4,'), 3, /progress\.json is damaged/],
  ['another progress', inCheckpoint('progress.json', '{"iteration":3,"update":6}'), 3, /that 6 updates were made/],
  ['a negative progress', inCheckpoint('progress.json', '{"iteration":-4,"update":8}'), 3, /iteration/],
  ['a progress too far', inCheckpoint('progress.json', '{"iteration":9,"update":8}'), 3, /cannot have made 8 updates/],
  ['a progress of no numbers', inCheckpoint('progress.json', 'null'), 3, /progress\.json is damaged/],
  ['no weights', path => rmSync(join(path, 'checkpoints/000008/weights')), 3, /has no weights/],
  ['an empty checkpoint after it', path => mkdirSync(join(path, 'checkpoints/9999999')), 4, /9999999/],
  ['a file for a checkpoint', path => writeFileSync(join(path, 'checkpoints/000099'), ''), 4, /000099/],
  ['a damaged line of metrics', damageLine(4, '\0\0\0'), 3, /metrics\.jsonl, line 4, is damaged/],
  ['two lines in one', damageLine(3, '{"iteration":3,"upd{"iteration":3,"update":6}'), 2, /line 3, is damaged/],
  ['a line of no metrics', damageLine(4, '[]'), 3, /line 4, is damaged/],
])('a run with %s goes back to the last whole checkpoint, and says why', async (_, damage, iteration, reason) => {
  const path = interrupted();
  damage(path);
  const { notices, ...rest } = await resumed(path);
  expect(rest).toEqual({ iteration });
  expect(notices).toEqual([expect.stringMatching(reason)]);
  expect(notices[0]).toMatch(new RegExp(`^going back to iteration ${iteration}, for `));
});

test.each<[string, (path: string) => void]>([
  ['a damaged line after the checkpoint', damageLine(5, '\0\0\0')],
  ['files of others among its checkpoints', path => writeFileSync(join(path, 'checkpoints/notes.txt'), 'mine')],
  ['a half-written trajectory', path => writeFileSync(join(path, `trajectories/000006.jsonl.gz.${uuid}.tmp`), 'half')],
])('%s is no harm', async (_, damage) => {
  const path = interrupted();
  damage(path);
  expect(readTrajectories(path)).toEqual([sample]);
  expect(await resumed(path)).toEqual({ iteration: 4, notices: [] });
  expect(readdirSync(join(path, 'trajectories'))).toEqual(['000005.index.json', '000005.jsonl.gz']);
});

const uuid = '4bb2dc2c-6b0c-4a5f-9c9c-0b7d3b8f2c11';

test('what is told of an iteration later is added behind the rest, and read as one with it', () => {
  const run = RunDirectory.create(newFolder(), recipe);
  const file = join(run.path, 'metrics.jsonl');
  const text = () => readFileSync(file, 'utf8');
  run.begin();
  run.logMore({ iteration: 0, update: 0, evaluation: 'a' });
  run.log({ iteration: 1, update: 1, loss: 2 });
  const before = text();
  run.logMore({ iteration: 1, update: 1, evaluation: 'b' });
  expect(text().startsWith(before)).toBe(true);
  const lines = [
    { iteration: 0, update: 0, evaluation: 'a' },
    { iteration: 1, update: 1, loss: 2, evaluation: 'b' },
  ];
  expect(readMetrics(run.path)).toEqual(lines);
  run.log({ iteration: 2, update: 2 });
  expect(readMetrics(run.path, 1)).toEqual(lines);

  // Killed while it was added, or damaged: what was told before stands.
  for (const torn of ['{"iteration":1,"update":1,"eva', '{"iteration":1,"upd\n']) {
    writeFileSync(file, before + torn);
    expect(readMetrics(run.path, 1)).toEqual([lines[0], { iteration: 1, update: 1, loss: 2 }]);
  }
  run.close();
});

test('what no checkpoint can be recovered from is refused in one line, and nothing is changed', async () => {
  const path = interrupted();
  damageLine(1, '{')(path);
  const before = readFileSync(join(path, 'metrics.jsonl'), 'utf8');
  const refusal = await resumed(path).catch(error => error);
  expect(refusal).toBeInstanceOf(UserError);
  expect(refusal.message).toMatch(/has no whole checkpoint to go on from: .*metrics\.jsonl, line 1, is damaged/);
  expect(refusal.message).toContain(`To begin again, delete ${join(path, 'checkpoints')}`);
  expect(refusal.message).not.toContain('\n');
  expect(readFileSync(join(path, 'metrics.jsonl'), 'utf8')).toBe(before);

  rmSync(join(path, 'checkpoints'), { recursive: true });
  expect(holdsRun(path)).toBe(true);
  expect(await resumed(path)).toEqual({ iteration: 0, notices: [] });
});

test('a checkpoint beyond the run does not count among those that are kept', async () => {
  const path = interrupted();
  mkdirSync(join(path, 'checkpoints', '9999999'));
  const run = RunDirectory.resume(path);
  run.begin();
  await run.checkpoint({ iteration: 5, update: 10 }, save);
  run.close();
  expect(readdirSync(join(path, 'checkpoints')).sort()).toEqual(['000006', '000008', '000010', '9999999']);
});

test('kept trajectories are JSON lines, each of which is read alone', () => {
  const path = newFolder();
  const folder = join(path, 'trajectories');
  mkdirSync(folder, { recursive: true });
  const other = { ...sample, task: 'two', correct: false, pattern: undefined };
  writeTrajectories(folder, 7, [sample, other]);
  const lines = gunzipSync(readFileSync(join(folder, '000007.jsonl.gz')))
    .toString()
    .trimEnd()
    .split('\n');
  expect(lines.map(line => JSON.parse(line))).toEqual([sample, other]);
  const [first, second] = readIndex(folder, 7);
  expect(first).toMatchObject({ task: 'one', pattern: 'stable', steps: 2, tokens: 3, errors: 0, divergence: 0.25 });
  expect(readTrajectory(folder, 7, second)).toEqual(other);
  expect(newestTrajectory(path, ({ correct }) => !correct)).toEqual(other);
});

test('trajectories of which only a part is there are left out', () => {
  const path = interrupted();
  const folder = join(path, 'trajectories');
  const [data, index] = ['jsonl.gz', 'index.json'].map(name => readFileSync(join(folder, `000005.${name}`)));
  for (const [i, cut] of [0, 1, 50, data.length - 20].entries()) {
    writeFileSync(join(folder, `00000${i}.jsonl.gz`), data.subarray(0, cut));
    writeFileSync(join(folder, `00000${i}.index.json`), i < 2 ? index.subarray(0, 30) : index);
  }
  expect(readTrajectories(path)).toEqual([sample]);
});

test('a folder takes one run, and a run one process', async () => {
  const path = interrupted();
  expect(() => RunDirectory.create(path, recipe)).toThrow(`${path} already holds a run`);
  const run = RunDirectory.resume(path);
  expect(() => RunDirectory.resume(path)).toThrow(`in use by process ${process.pid}`);
  run.close();
  expect(existsSync(join(path, 'lock'))).toBe(false);
});

test('a start that has learned nothing leaves nothing, and where it was killed another begins in its place', () => {
  const path = newFolder();
  const failed = RunDirectory.create(path, recipe);
  failed.begin();
  failed.close();
  expect(existsSync(path)).toBe(false);

  const killed = RunDirectory.create(path, recipe);
  killed.begin();
  mkdirSync(killed.initial);
  rmSync(join(path, 'lock'));
  expect(holdsRun(path)).toBe(false);
  const other = parseRecipe({ method: 'sft', model: '/elsewhere' });
  const run = RunDirectory.create(path, other);
  expect(existsSync(run.initial)).toBe(false);
  run.begin();
  expect(readRecipe(path)).toEqual(other);
  run.log({ iteration: 1, update: 1 });
  run.close();
  expect(holdsRun(path)).toBe(true);
});

test('a new run leaves the files of others alone', () => {
  const path = newFolder();
  mkdirSync(path);
  writeFileSync(join(path, 'mine.txt'), '');
  const run = RunDirectory.create(path, recipe);
  run.begin();
  run.close();
  expect(readdirSync(path)).toEqual(['mine.txt']);
  for (const name of ['initial', 'final', 'checkpoints']) {
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, 'mine.txt'), '');
    expect(() => RunDirectory.create(path, recipe)).toThrow(`${join(path, name)} is of no run`);
    expect(readdirSync(path)).toEqual([name, 'mine.txt'].sort());
    rmSync(join(path, name), { recursive: true });
  }
  writeFileSync(join(path, 'recipe.yaml'), 'method: sft');
  expect(() => RunDirectory.create(path, recipe)).toThrow('already holds a run');
  expect(readFileSync(join(path, 'recipe.yaml'), 'utf8')).toBe('method: sft');
});

test('a run whose folder is deleted ends as it would', () => {
  const path = newFolder();
  const run = RunDirectory.create(path, recipe);
  run.begin();
  rmSync(path, { recursive: true });
  run.close();
});

test.each(['', 'method: [', '\0\0\0', 'method: sfd', '- sft'])('a damaged recipe is refused in one line: %j', text => {
  const path = interrupted();
  writeFileSync(join(path, 'recipe.yaml'), text);
  const open = () => RunDirectory.resume(path);
  expect(open).toThrow(UserError);
  expect(open).toThrow(/^[^\n]*recipe\.yaml: [^\n]+$/);
  expect(existsSync(join(path, 'lock'))).toBe(false);
});

test('a folder without a run is refused by name', () => {
  expect(() => RunDirectory.resume('/nowhere')).toThrow('/nowhere is not the folder of a run: it has no recipe.yaml');
});

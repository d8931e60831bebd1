import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { smallShape } from '../../bench/smallSodRun.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { parseRecipe, type Recipe } from '../../src/train/recipe.ts';
import { RunDirectory } from '../../src/train/runDirectory.ts';
import type { KeptStep, KeptTrajectory } from '../../src/train/trajectoryFile.ts';
import { openWorld } from '../../src/worlds/open.ts';

/** A world of few words: its tokenizer is learned in no time. */
const source = `export default () => ({
  name: 'echoes',
  task: (split, index) => ({
    id: \`\${split}/\${index}\`,
    messages: [{ role: 'user', content: \`Say \${index % 9} and again.\` }],
    answer: String(index % 9),
  }),
  tools: () => [],
  demonstrate: ({ answer }) => [{ role: 'assistant', content: \`I say \${answer} and again \${answer}.\` }],
});
`;

/** A SOD run of a second: a world, a student and a teacher of chance in `folder`, and their recipe. */
export async function smallRun(folder: string): Promise<Recipe> {
  const path = join(folder, 'echoes.mjs');
  writeFileSync(path, source);
  const { world, close } = await openWorld(path);
  const [model, teacher] = ['student', 'teacher'].map(name => join(folder, name));
  for (const [i, dir] of [model, teacher].entries()) await initializeCheckpoint(dir, smallShape, world, i + 1);
  await close();
  return parseRecipe({
    method: 'sod',
    model,
    teacher,
    world: path,
    engine: { threads: 1, cacheBytes: 2 ** 24 },
    rollout: { groupSize: 2, maxResponseTokens: 24, maxTurns: 2 },
    training: { iterations: 4, promptsPerIteration: 4, promptsPerUpdate: 2 },
  });
}

/** What a tool might answer that means no good, or only too much. */
export const hostileText = `<script>alert(1)</script>\u001b[31mred\u202e${'<b>much</b> '.repeat(90_000)}`;

/** A run that says what a run of chance hardly would: 2003 trajectories, a recovery and a hostile one among them. */
export function writeToldRun(path: string, recipe: Recipe): void {
  const run = RunDirectory.create(path, recipe);
  run.begin();
  for (const iteration of [1, 2]) run.log({ iteration, update: iteration, reward: iteration / 2, accuracy: 0.5 });
  run.logTrajectories(
    1,
    Array.from({ length: 2000 }, (_, i) => attempt(`task ${1999 - i}`, [say('well')])),
  );
  const recovery = [
    say('good'),
    say('bad', { gaps: [-2], alternatives: [[['good', -0.2]]], weight: 0.2, divergence: 0.9, ...failed }),
    say('good again'),
  ];
  run.logTrajectories(2, [
    attempt('special', recovery, { pattern: 'recovery' }),
    attempt('special', [say('another way'), say('a very special answer')], { sample: 1, pattern: 'stable' }),
    attempt('<img src=x onerror=alert(1)>', [say('ask', { observation: hostileText })]),
  ]);
  run.close();
}

const failed = { observation: 'Error: no such thing', error: 'exception' };

function say(text: string, more: Partial<KeptStep> = {}): KeptStep {
  return { text, tokens: [text], logprobs: [-0.5], gaps: [0.1], weight: 1, divergence: 0.1, ...more };
}

function attempt(task: string, steps: KeptStep[], more: Partial<KeptTrajectory> = {}): KeptTrajectory {
  return { task, sample: 0, reward: 0, correct: false, end: 'answer', prompt: 'Do it.', steps, ...more };
}

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileWhole } from '../../src/files.ts';
import { Random } from '../../src/random.ts';
import { formatRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { type KeptStep, type KeptTrajectory, writeTrajectories } from '../../src/train/trajectoryFile.ts';

const perIteration = 64;
/** One trajectory of so many has the word that is searched for. */
const rarity = 2000;
export const rareWord = 'heliotrope';

/** Writes a run of SOD with so many trajectories of 3 steps and some 120 tokens, unless it is there; a minute for 100,000. */
export function writeLargeRun(folder: string, count: number): void {
  const metrics = join(folder, 'metrics.jsonl');
  if (existsSync(metrics)) return;
  const iterations = Math.ceil(count / perIteration);
  mkdirSync(join(folder, 'trajectories'), { recursive: true });
  const recipe = parseRecipe({ method: 'sod', model: 'student', teacher: 'teacher', training: { iterations } });
  writeFileSync(join(folder, 'recipe.yaml'), formatRecipe(recipe));
  const random = Random.of('large run');
  const lines: string[] = [];
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const trajectories = Array.from({ length: perIteration }, (_, i) => trajectory(random, iteration, i));
    writeTrajectories(join(folder, 'trajectories'), iteration, trajectories);
    const accuracy = trajectories.filter(({ correct }) => correct).length / perIteration;
    lines.push(`${JSON.stringify({ iteration, update: iteration, accuracy, seconds: { rollout: 1, update: 1 } })}\n`);
  }
  writeFileWhole(metrics, lines.join(''));
}

function trajectory(random: Random, iteration: number, index: number): KeptTrajectory {
  const correct = random.uniform() < 0.6;
  const steps = [1, 2, 3].map(() => step(random));
  if (random.below(rarity) === 0) steps[1].observation = `a ${rareWord}`;
  return {
    task: `train/${iteration * 8 + (index >> 3)}`,
    sample: index & 7,
    reward: correct ? 1 : -1,
    correct,
    end: 'answer',
    pattern: (['stable', 'erroneous', 'recovery'] as const)[random.below(3)],
    prompt: `How much are ${random.below(100)} of ${words(random, 20)}?`,
    steps,
  };
}

function step(random: Random): KeptStep {
  const tokens = words(random, 40).split(/(?= )/);
  const numbers = (scale: number) => tokens.map(() => Math.round(-scale * 1e4 * random.uniform()) / 1e4);
  const fails = random.uniform() < 0.1;
  return {
    text: tokens.join(''),
    observation: words(random, 10),
    ...(fails && { error: 'not found' }),
    divergence: Math.round(1e4 * random.uniform()) / 1e4,
    weight: Math.round(1e4 * random.uniform()) / 1e4,
    tokens,
    logprobs: numbers(1),
    gaps: numbers(2),
  };
}

function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.below(46_656).toString(36)).join(' ');
}

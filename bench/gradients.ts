/**
 * What each step of a trajectory adds to the gradient of an update, and how much of that is noise, where the steps are
 * told apart by how far they are from the first tool call that failed: `npm run bench:gradients`. It reads the models of
 * a comparison that was run before, lets the student answer as in its first iterations, and takes the gradient of every
 * trajectory on its own.
 */
import { join } from 'node:path';
import { Command } from 'commander';
import type { Trajectory } from '../src/agent/trajectory.ts';
import { readPlan } from '../src/compare/plan.ts';
import { LocalEngine } from '../src/engine/local/engine.ts';
import type { AdamParams, Scores, Trainer } from '../src/engine/types.ts';
import { stepDivergences, stepRanges } from '../src/methods/stepwise.ts';
import { loadChat } from '../src/text/loadChat.ts';
import { methodOf } from '../src/train/method.ts';
import type { OnPolicyRecipe } from '../src/train/recipe.ts';
import { sampleGroups } from '../src/train/sampleGroups.ts';
import { scoreGroup } from '../src/train/teacher.ts';
import { batchOfTasks, trainingTasks } from '../src/train/trainingTasks.ts';
import { openWorld } from '../src/worlds/open.ts';

const program = new Command('bench:gradients')
  .description('Measure the signal and the noise of the gradient by step, before and after a tool error.')
  .argument('[comparison]', 'the YAML file that was compared', 'recipes/world/compare.yaml')
  .option('--runs <folder>', 'where sod compare wrote', 'runs/compare')
  .option('--methods <names>', "methods with the comparison's teacher, or none", 'grpo,opd,sod,sod-mask')
  .option('--iterations <count>', 'how many of the first iterations', Number, 4)
  .parse();
const [comparison] = program.processedArgs as [string];
const options = program.opts<{ runs: string; methods: string; iterations: number }>();

/** Steps by their distance from the first that failed; the last entry holds all behind it. */
const places = ['no error', 'before it', 'the failed call', '1 after', '2 after', '3 after', '4 or more after'];

/** Token ranges of a trajectory's steps, by place. */
function rangesByPlace({ mask, steps }: Trajectory): [start: number, end: number][][] {
  const failed = steps.findIndex(({ error }) => error !== undefined);
  const byPlace: [number, number][][] = places.map(() => []);
  for (const [k, range] of stepRanges(mask).entries()) {
    const place = failed < 0 ? 0 : k < failed ? 1 : Math.min(2 + k - failed, places.length - 1);
    byPlace[place].push(range);
  }
  return byPlace;
}

interface Part {
  trajectory: Trajectory;
  advantages: Float32Array;
  ranges: [start: number, end: number][];
}

/** Norm of the gradient of Σ advantage · log π over the tokens in the parts' ranges. */
async function gradientNorm(trainer: Trainer, parts: Part[]): Promise<number> {
  const data = parts.map(({ trajectory: { tokens, logprobs }, advantages, ranges }) => {
    const weights = new Float32Array(tokens.length);
    for (const [start, end] of ranges) weights.fill(1, start, end);
    return { tokens, weights, advantages, behaviourLogprobs: logprobs };
  });
  await trainer.forwardBackward(data, { kind: 'importance_sampling' });
  const { gradNorm } = await trainer.optimStep(standstill);
  return gradNorm;
}

/** Clears the gradient and leaves the weights as they are. */
const standstill: AdamParams = { learningRate: 0, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0, clipNorm: 0 };

/**
 * The expected norm of the sum of the contributions of `count` trajectories, and how far chance moves that sum.
 * @param norms of the contributions that are not 0
 */
function signalAndNoise(sumNorm: number, norms: readonly number[], count: number) {
  const squares = norms.reduce((sum, norm) => sum + norm ** 2, 0);
  const variance = ((squares - sumNorm ** 2 / count) / (count - 1)) * count;
  return { signal: Math.sqrt(Math.max(0, sumNorm ** 2 - variance)), noise: Math.sqrt(variance) };
}

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const mean = (values: ArrayLike<number>) => sum(Array.from(values)) / values.length;
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

const plan = readPlan(comparison, join(options.runs, 'full'), { quick: false });
const names = options.methods.split(',');
const recipeOf = async (method: string) => (await plan.recipe(method, plan.seeds[0])) as OnPolicyRecipe;
const recipe = await recipeOf('sod');
const { world, close } = await openWorld(recipe.world);
const engine = await LocalEngine.start();
try {
  const trainer = await engine.trainer(recipe.model!);
  const teacher = await engine.scorer(recipe.teacher!);
  const context = {
    trainer,
    teacher: () => teacher,
    chat: loadChat(recipe.model!),
    world,
    signal: new AbortController().signal,
    onProgress: () => {},
    onNotice: console.error,
  };
  const chosen = await trainingTasks(recipe, context);

  const groups: Trajectory[][] = [];
  const groupScores: Scores[][] = [];
  for (let iteration = 0; iteration < options.iterations; iteration++) {
    const tasks = batchOfTasks(chosen, recipe, world, iteration);
    const sampled = await sampleGroups(recipe, tasks, iteration, { ...context, sampler: await trainer.sampler() });
    groups.push(...sampled);
    for (const [g, group] of sampled.entries()) groupScores.push(await scoreGroup('model', tasks[g], group, context));
  }
  const trajectories = groups.flat();
  const scores = groupScores.flat();
  const ranges = trajectories.map(rangesByPlace);
  const tokens = sum(trajectories.map(({ mask }) => sum(mask)));

  const advantages: Float32Array[][] = [];
  for (const name of names) {
    const method = await methodOf(await recipeOf(name));
    const learned = groups.map((group, g) =>
      method.advantages(
        group,
        groupScores[g].map(({ logprobs }) => logprobs),
      ),
    );
    advantages.push(learned.flatMap(group => group.advantages));
  }

  console.log(`${trajectories.length} trajectories, ${tokens} sampled tokens.`);
  console.log('Signal / noise of the gradient: norms for each sampled token of the batch, times 1000.\n');
  console.log(row(['step', 'tokens', 'd', "teacher's entropy", ...names]));
  console.log(row(['---', ...Array(3 + names.length).fill('--:')]));
  for (const [p, place] of places.entries()) {
    const chosen = [...trajectories.keys()].filter(i => ranges[i][p].length > 0);
    if (chosen.length === 0) continue;
    const divergences = chosen.flatMap(i =>
      stepDivergences(ranges[i][p], trajectories[i].logprobs, scores[i].logprobs),
    );
    const entropies = chosen.flatMap(i =>
      ranges[i][p].map(([start, end]) => scores[i].entropies!.subarray(start, end)),
    );
    const cells = [];
    for (const learned of advantages) {
      const parts = chosen.map(i => ({ trajectory: trajectories[i], advantages: learned[i], ranges: ranges[i][p] }));
      const norms = [];
      for (const part of parts) norms.push(await gradientNorm(trainer, [part]));
      const { signal, noise } = signalAndNoise(await gradientNorm(trainer, parts), norms, trajectories.length);
      cells.push([signal, noise].map(norm => ((1000 * norm) / tokens).toFixed(0)).join(' / '));
    }
    const share = sum(entropies.map(({ length }) => length)) / tokens;
    const entropy = mean(entropies.map(mean));
    console.log(
      row([place, `${(100 * share).toFixed(0)} %`, mean(divergences).toFixed(2), entropy.toFixed(3), ...cells]),
    );
  }
} finally {
  await engine.close();
  await close();
}

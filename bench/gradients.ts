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
import type { Scores, Trainer } from '../src/engine/types.ts';
import { stepDivergences, stepRanges } from '../src/methods/stepwise.ts';
import { loadChat } from '../src/text/loadChat.ts';
import { iterationTasks, sampleGroups, scoreGroups } from '../src/train/experience.ts';
import { methodOf } from '../src/train/method.ts';
import type { OnPolicyRecipe } from '../src/train/recipe.ts';
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

/** Norm of the gradient of Σ advantage · log π over the tokens in `ranges`, summed over the trajectories. */
async function gradientNorm(
  trainer: Trainer,
  parts: { trajectory: Trajectory; advantages: Float32Array; ranges: [number, number][] }[],
): Promise<number> {
  const data = parts.map(({ trajectory: { tokens, logprobs }, advantages, ranges }) => {
    const weights = new Float32Array(tokens.length);
    for (const [start, end] of ranges) weights.fill(1, start, end);
    return { tokens, weights, advantages, behaviourLogprobs: logprobs };
  });
  await trainer.forwardBackward(data, { kind: 'importance_sampling', aggregation: 'seq-mean-token-sum' });
  const still = { learningRate: 0, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 0 };
  return (await trainer.optimStep(still)).gradNorm * data.length;
}

/** How the contributions of `count` trajectories add up: the norm of their sum, and the deviation of that by chance. */
function signalAndNoise(sumNorm: number, norms: readonly number[], count: number) {
  const squares = norms.reduce((sum, norm) => sum + norm ** 2, 0);
  const variance = ((squares - sumNorm ** 2 / count) / (count - 1)) * count;
  return { signal: Math.sqrt(Math.max(0, sumNorm ** 2 - variance)), noise: Math.sqrt(variance) };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

const plan = readPlan(comparison, join(options.runs, 'full'), { quick: false });
const names = options.methods.split(',');
const recipe = (await plan.recipe('sod', plan.seeds[0])) as OnPolicyRecipe;
const { world, close } = await openWorld(recipe.world);
const engine = await LocalEngine.start({ threads: 2 });
try {
  const trainer = await engine.trainer(recipe.model!);
  const teacher = await engine.scorer(recipe.teacher!);
  const studio = { trainer, teacher, chat: loadChat(recipe.model!), world, signal: new AbortController().signal };
  const practice = { ...studio, onProgress: () => {} };

  const groups: Trajectory[][] = [];
  const scores: Scores[][] = [];
  for (let iteration = 0; iteration < options.iterations; iteration++) {
    const tasks = iterationTasks(recipe, practice, iteration);
    const sampled = await sampleGroups(recipe, practice, tasks, iteration);
    groups.push(...sampled);
    scores.push(...(await scoreGroups('model', tasks, sampled, practice)));
  }
  const trajectories = groups.flat();
  const ranges = trajectories.map(rangesByPlace);
  const tokens = trajectories.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0);
  console.log(
    `${trajectories.length} trajectories, ${tokens} sampled tokens; signal and noise of the gradient a sampled token, times 1000\n`,
  );
  console.log(
    row([
      'step',
      'tokens',
      'd',
      "teacher's entropy",
      ...names.map(name => `${name}: signal`),
      ...names.map(name => `${name}: noise`),
    ]),
  );
  console.log(row(['---', ...Array(3 + 2 * names.length).fill('--:')]));

  const advantages = await Promise.all(
    names.map(async name => {
      const method = methodOf((await plan.recipe(name, plan.seeds[0])) as OnPolicyRecipe);
      return groups.flatMap(
        (group, g) =>
          method.advantages(
            group,
            scores[g].map(({ logprobs }) => logprobs),
          ).advantages,
      );
    }),
  );
  for (const [p, place] of places.entries()) {
    const chosen = trajectories.map((_, i) => i).filter(i => ranges[i][p].length > 0);
    if (!chosen.length) continue;
    const divergences = chosen.flatMap(i =>
      stepDivergences(ranges[i][p], trajectories[i].logprobs, scores.flat()[i].logprobs),
    );
    const spans = chosen.flatMap(i =>
      ranges[i][p].map(([start, end]) => scores.flat()[i].entropies!.subarray(start, end)),
    );
    const measured = [];
    for (const learned of advantages) {
      const part = (i: number) => ({ trajectory: trajectories[i], advantages: learned[i], ranges: ranges[i][p] });
      const norms = [];
      for (const i of chosen) norms.push(await gradientNorm(trainer, [part(i)]));
      measured.push(signalAndNoise(await gradientNorm(trainer, chosen.map(part)), norms, trajectories.length));
    }
    const scaled = (value: number) => ((1000 * value) / tokens).toFixed(1);
    const share = spans.reduce((sum, span) => sum + span.length, 0) / tokens;
    console.log(
      row([
        place,
        `${(100 * share).toFixed(0)} %`,
        mean(divergences).toFixed(2),
        mean(spans.map(span => mean([...span]))).toFixed(3),
        ...measured.map(({ signal }) => scaled(signal)),
        ...measured.map(({ noise }) => scaled(noise)),
      ]),
    );
  }
} finally {
  await engine.close();
  await close();
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { TinkerEngine } from '../../src/engine/tinker/engine.ts';
import type { TinkerTrainer } from '../../src/engine/tinker/trainer.ts';
import type {
  AdamParams,
  Datum,
  Engine,
  LossOutput,
  LossSpec,
  ScoredSequence,
  StepStats,
  Trainer,
} from '../../src/engine/types.ts';
import { linearNames } from '../../src/model/config.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { smallSodRun } from '../smallSodRun.ts';

/** In nats, and for the gradient as a part of it. */
const tolerance = 1e-3;
const gradientTolerance = 0.02;
const count = 10;
const lora = { rank: 4, alpha: 32, targets: linearNames, seed: 0 };
const loss: LossSpec = { kind: 'importance_sampling' };
// With an ε far above what rounding leaves of a gradient: without, Adam makes whole steps of differences in the last bits.
const adam = { betas: [0.9, 0.999] as [number, number], epsilon: 1, weightDecay: 0.01, clipNorm: 0 };
const learningRate = 5e-3;

interface Models {
  student: string;
  teacher: string;
}

/**
 * Trains an adapter on a server by recorded updates, and compares what they come to with the engine here: on the weights that the
 * server had, base and adapter, brought home and merged; and on an adapter that began as the server's did and is trained here.
 */
export async function compareUpdates(url: string, models: Models, folder: string): Promise<boolean> {
  const here = await LocalEngine.start({ dtype: 'f32' });
  const updates = await recordUpdates(here, models, join(folder, 'recorded'));
  // An hour: it starts slowly, and compiles before it answers.
  const settings = { url, dialect: 'skyrl-jax', patienceMs: 3_600_000, onNotice: console.log } as const;
  const engine = await TinkerEngine.start(settings);
  const there = await engine.trainer(models.student, lora);
  const mirror = await here.trainer(models.student);
  const home = join(folder, 'home');
  const bringHome = async (from = there) => {
    await from.save(home);
    await mirror.load(home);
  };

  const twin = await here.trainer(models.student, lora);

  let [logprobs, losses, tokens, moved] = [0, 0, 0, 0];
  const first = await scoresOf(here, models.student, updates.at(-1)!);
  await bringHome();
  await twin.load(join(home, 'adapter'));
  for (const [i, data] of updates.entries()) {
    const ours = await mirror.forwardBackward(data, loss);
    const [[theirs], [twins]] = await Promise.all(
      [there, twin].map(trainer => learn(trainer, data, { ...adam, learningRate })),
    );
    const apart = farthest(data, theirs.logprobs, ours.logprobs);
    const lossApart = Math.abs(theirs.loss - ours.loss);
    console.log(
      `update ${i + 1}: ${data.length} trajectories, loss ${theirs.loss.toFixed(6)} there and ${ours.loss.toFixed(6)} here, ` +
        `log-probabilities within ${apart.toExponential(1)}, of what is trained here ${farthest(data, theirs.logprobs, twins.logprobs).toExponential(1)}`,
    );
    logprobs = Math.max(logprobs, apart);
    losses = Math.max(losses, lossApart);
    tokens += theirs.tokens;
    if (data === updates.at(-1)) moved = farthest(data, theirs.logprobs, first);
    await bringHome();
  }
  const trained = await trainedApart(mirror, twin, updates.at(-1)!);
  const sampled = await sampledApart(there, here, updates.at(-1)!, home);
  const scored = await scoredApart(engine, here, models.student, updates[0]);
  // Of another adapter, behind one update: near to the policy that sampled the loss is no steep hill, and no adapter is 0 any more.
  const tried = await engine.trainer(models.student, lora);
  await learn(tried, updates[0], { ...adam, learningRate });
  const fall = await fallOfLoss(tried, updates[0]);
  await bringHome(tried);
  const gradient = (fall.from - (await mirror.forwardBackward(updates[0], loss)).loss) / fall.by;
  await engine.close();
  await here.close();

  console.log(`updates    ${count}, of ${tokens} tokens, which moved a log-probability by up to ${moved.toFixed(2)}`);
  console.log(`losses     within ${losses.toExponential(1)}`);
  console.log(`logprobs   within ${logprobs.toExponential(1)}`);
  console.log(`trained    here and there, by all updates, within ${trained.toExponential(1)}`);
  console.log(`gradient   a step against it lowers the loss by ${gradient.toFixed(4)} of what its norm says`);
  console.log(`sampled    told there and scored here within ${sampled.toExponential(1)}`);
  console.log(`scored     by the base model within ${scored.toExponential(1)}`);
  const isSame = [logprobs, losses, trained, sampled, scored].every(apart => apart <= tolerance);
  return isSame && Math.abs(gradient - 1) <= gradientTolerance && moved > 0.1;
}

/** The updates of a SOD run on the engine here, as it is asked for them. */
async function recordUpdates(engine: LocalEngine, models: Models, runDir: string): Promise<Datum[][]> {
  const updates: Datum[][] = [];
  const recording: Engine = {
    async trainer(checkpoint) {
      const trainer = await engine.trainer(checkpoint);
      const learn = trainer.forwardBackward.bind(trainer);
      trainer.forwardBackward = (data, loss) => {
        updates.push(data);
        return learn(data, loss);
      };
      return trainer;
    },
    scorer: checkpoint => engine.scorer(checkpoint),
    sampler: checkpoint => engine.sampler(checkpoint),
    close: () => engine.close(),
  };
  rmSync(runDir, { recursive: true, force: true });
  const iterations = count / 2;
  const recipe = {
    ...smallSodRun(models),
    rollout: { groupSize: 2, maxResponseTokens: 96, maxTurns: 3 },
    training: { iterations, promptsPerIteration: 4, promptsPerUpdate: 2 },
  };
  await train(parseRecipe(recipe), { runDir, engine: recording });
  return updates;
}

/**
 * A step against the server's gradient, which shows whether it is that of the loss as it is meant here, its sums and means included:
 * with an ε that is far larger than the gradient, Adam's step is the gradient times learning rate / ε.
 * @returns the loss before, and by how much it must have fallen if its gradient's norm is what the server says
 */
async function fallOfLoss(there: Trainer, data: Datum[]): Promise<{ from: number; by: number }> {
  const by = 1e-4;
  const epsilon = 1e6;
  const step = { ...adam, betas: [0, 0] as [number, number], weightDecay: 0, epsilon };
  const [before, { gradNorm }] = await learn(there, data, { ...step, learningRate: 0 });
  await learn(there, data, { ...step, learningRate: (by * epsilon) / gradNorm ** 2 });
  return { from: before.loss, by };
}

/** One update. */
function learn(trainer: Trainer, data: Datum[], step: AdamParams): Promise<[LossOutput, StepStats]> {
  return Promise.all([trainer.forwardBackward(data, loss), trainer.optimStep(step)]);
}

/** How far the server's adapter, brought home, and the one that was trained here are from each other, in log-probabilities. */
async function trainedApart(home: Trainer, twin: Trainer, data: Datum[]): Promise<number> {
  const [theirs, ours] = await Promise.all([home, twin].map(trainer => trainer.forwardBackward(data, loss)));
  return farthest(data, theirs.logprobs, ours.logprobs);
}

/** How far what the server samples is from what the engine here thinks of it. */
async function sampledApart(there: TinkerTrainer, here: LocalEngine, data: Datum[], home: string): Promise<number> {
  const policy = await there.sampler();
  const said = await Promise.all(
    data.map(async (datum, seed) => {
      const prompt = datum.tokens.slice(0, maskOf(datum).indexOf(1));
      const { tokens, logprobs } = await policy.generate(prompt, { maxTokens: 24, seed });
      const before = prompt.map(() => 0);
      return {
        tokens: [...prompt, ...tokens],
        weights: Float32Array.from([...before, ...tokens.map(() => 1)]),
        logprobs: Float32Array.from([...before, ...logprobs]),
      };
    }),
  );
  const told = said.map(({ logprobs }) => logprobs);
  return farthest(said, told, await scoresOf(here, home, said));
}

/** How far the server's scores of its base model are from those here. */
async function scoredApart(there: Engine, here: Engine, checkpoint: string, data: Datum[]): Promise<number> {
  return farthest(data, await scoresOf(there, checkpoint, data), await scoresOf(here, checkpoint, data));
}

async function scoresOf(engine: Engine, checkpoint: string, data: readonly Datum[]): Promise<Float32Array[]> {
  const scorer = await engine.scorer(checkpoint);
  const sequences = data.map((datum): ScoredSequence => ({ tokens: datum.tokens, mask: maskOf(datum) }));
  return (await scorer.score(sequences)).map(({ logprobs }) => logprobs);
}

function maskOf({ weights }: Datum): Uint8Array {
  return Uint8Array.from(weights, weight => (weight === 0 ? 0 : 1));
}

/** The largest difference of two numbers of a trained token. */
function farthest(data: readonly Datum[], a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let most = 0;
  data.forEach(({ weights }, i) => {
    weights.forEach((weight, t) => {
      if (weight !== 0) most = Math.max(most, Math.abs(a[i][t] - b[i][t]));
    });
  });
  return most;
}

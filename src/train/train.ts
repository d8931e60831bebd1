import { existsSync } from 'node:fs';
import type { DownloadControl } from '../data/dataset.ts';
import type { WorkerOptions } from '../engine/local/protocol.ts';
import type { Engine } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { Method } from '../methods/method.ts';
import { loadChat } from '../text/loadChat.ts';
import { openTrackers, type Trackers } from '../trackers/trackers.ts';
import { openWorld } from '../worlds/open.ts';
import type { World } from '../worlds/world.ts';
import { bestOf } from './evaluationMetrics.ts';
import { initializeCheckpoint } from './initialize.ts';
import type { Learner, LearnerContext } from './learner.ts';
import { iterate, type LoopEnd } from './loop.ts';
import { methodOf } from './method.ts';
import { onPolicy } from './onPolicy.ts';
import { type OpenTeachers, openTeachers } from './openTeachers.ts';
import { pinTools } from './pinnedTools.ts';
import { openServedPolicy } from './policyServer.ts';
import { datasetsOf, formatRecipe, type Init, type OnPolicyRecipe, type Recipe, type SftRecipe } from './recipe.ts';
import { recovering } from './recovery.ts';
import { refuseServers } from './refuseServers.ts';
import { goOn, type Standing } from './resume.ts';
import { type Metrics, RunDirectory, readMetrics } from './runDirectory.ts';
import { startRunEngine, withLocalModels } from './runEngine.ts';
import { supervised } from './supervised.ts';
import type { TrainEvent } from './trainEvent.ts';
import { type OpenTrainingData, openTrainingData, type TrainingData, worldIn } from './trainingData.ts';
import { Watch } from './watch.ts';

export interface TrainOptions {
  /** Folder of the run; see `RunDirectory` for what it holds. */
  runDir: string;
  /** Go on with the run in `runDir`, which must have been started with the same recipe. */
  resume?: boolean;
  /** In the place of the recipe's `engine.device`. */
  device?: WorkerOptions['device'];
  /** Default: the one that the recipe describes, closed at the end. */
  engine?: Engine;
  /** The recipe's world, opened by who calls: it stays open. Default: opened for this run, and closed at the end. */
  world?: World;
  /** The MCP servers that the recipe names may be started and asked. Default: a recipe with some is refused. */
  allowMcp?: boolean;
  onProgress?: (event: TrainEvent) => void;
  /** When it fires, the running updates are finished, a checkpoint is saved, and `train` returns. */
  signal?: AbortSignal;
}

export interface TrainResult extends LoopEnd {
  /** There was nothing left to do. */
  alreadyFinished?: boolean;
  /** The line of metrics of the best evaluation, whose model is in the folder `best` of the run. */
  best?: Metrics;
  /** One entry an iteration, from the first. */
  metrics: Metrics[];
}

/**
 * Trains a model as a recipe says. The same recipe gives the same weights, bit for bit, however often the run is
 * stopped and resumed.
 * @throws UserError if the run's folder does not fit, or a checkpoint or the world cannot be loaded.
 */
export async function train(recipe: Recipe, options: TrainOptions): Promise<TrainResult> {
  const { runDir, signal = new AbortController().signal } = options;
  const run = options.resume ? RunDirectory.resume(runDir) : RunDirectory.create(runDir, recipe);
  try {
    if (formatRecipe(run.recipe) !== formatRecipe(recipe)) {
      throw new UserError(
        `${runDir} was started with another recipe, see ${runDir}/recipe.yaml: choose another folder, or delete this one`,
      );
    }
    const onProgress = options.onProgress ?? (() => {});
    const onNotice = (notice: string) => onProgress({ kind: 'notice', notice });
    const trackers = await openTrackers(recipe, { runDir, onNotice });
    if (run.finished) {
      const result = resultOf(run, { finished: true, checkpoint: run.final });
      for (const line of result.metrics) trackers.tell(line);
      return await trackers.during(async () => ({ ...result, alreadyFinished: true }));
    }

    refuseServers(recipe, options.allowMcp);
    const control: DownloadControl = {
      onDownload: (file, doneBytes, totalBytes) => onProgress({ kind: 'download', file, doneBytes, totalBytes }),
      onNotice,
      signal,
    };
    const method = recipe.method === 'sft' ? undefined : await methodOf(recipe);
    const located = await withLocalModels(recipe, control);
    const { data, serverTools, evaluation, close } = await openTrainingData(recipe, control, options.world);
    try {
      run.begin();
      if (!options.world) pinTools(runDir, serverTools);
      const engine = options.engine ?? (await startRunEngine(located, method, options.device, onNotice));
      try {
        const opened = { data, evaluation, trackers };
        const end = await trackers.during(() => runLearner(located, method, run, engine, opened, signal, onProgress));
        return resultOf(run, end);
      } finally {
        if (!options.engine) await engine.close();
      }
    } finally {
      await close();
    }
  } finally {
    run.close();
  }
}

function resultOf(run: RunDirectory, end: LoopEnd): TrainResult {
  const metrics = readMetrics(run.path);
  return { ...end, metrics, best: bestOf(metrics) };
}

/** What a run has open beside its models. */
type Opened = Pick<OpenTrainingData, 'data' | 'evaluation'> & { trackers: Trackers };

/** Opens the models, and trains. @param recipe whose models are named by where they are */
async function runLearner(
  recipe: Recipe,
  method: Method | undefined,
  run: RunDirectory,
  engine: Engine,
  opened: Opened,
  signal: AbortSignal,
  onProgress: (event: TrainEvent) => void,
): Promise<LoopEnd> {
  const { data } = opened;
  const onNotice = (notice: string) => onProgress({ kind: 'notice', notice });
  if (recipe.init && !existsSync(run.initial)) {
    onNotice("making a fresh model: its tokenizer is learned from an expert's dialogues");
    await initialize(run.initial, recipe.init, recipe, data);
  }
  const base = recipe.model ?? run.initial;
  const trainer = await engine.trainer(base, recipe.lora && { ...recipe.lora, seed: recipe.seed });
  const control = { signal, onNotice };
  const served = 'world' in data ? await openServedPolicy(recipe, trainer, base, data.world, control) : undefined;
  let teachers: OpenTeachers | undefined;
  try {
    teachers = method?.teacher ? await openTeachers(recipe, base, engine, control) : undefined;
    const chat = loadChat(base, { enableThinking: recipe.thinking === 'on' });
    const parts = { run, trainer: served ?? trainer, teacher: teachers?.of, chat, ...control };
    return await learn(recipe, method, parts, opened, base, onProgress);
  } finally {
    await teachers?.close();
    await served?.close();
  }
}

/** Goes on from where the run stands, also where a server has lost its model: to the end, or until the signal comes. */
async function learn(
  recipe: Recipe,
  method: Method | undefined,
  parts: Omit<LearnerContext, 'onProgress'>,
  { data, evaluation, trackers }: Opened,
  base: string,
  onProgress: (event: TrainEvent) => void,
): Promise<LoopEnd> {
  const { run, trainer, chat, signal, onNotice } = parts;
  let standing: Standing = { iteration: 0 };
  const context: LearnerContext = {
    ...parts,
    onProgress: progress => {
      const { iteration } = standing;
      onProgress({ kind: 'phase', iteration, iterations: learner.iterations, ...progress });
    },
  };
  const learner = learnerOf(recipe, method, context, data);
  const goToEnd = async () => {
    standing = await goOn(run, trainer, learner, onNotice);
    const watch = new Watch({ recipe, run, iterations: learner.iterations, trainer, chat, evaluation, trackers });
    return iterate({ recipe, run, trainer, learner, watch, base, signal, onProgress }, standing);
  };
  try {
    return await recovering(run, trainer, base, goToEnd, onNotice);
  } finally {
    await learner.ahead?.end();
  }
}

/** Writes the fresh model that `init` describes, with the tokenizer of the world that the run learns in or of another. */
async function initialize(dir: string, init: Init, recipe: Recipe, data: TrainingData): Promise<void> {
  const { world, seed } = recipe;
  const learnedIn = datasetsOf(recipe).length === 0 ? worldIn(data) : undefined;
  if (!init.tokenizer && learnedIn) return initializeCheckpoint(dir, init, learnedIn, seed);
  const opened = await openWorld(init.tokenizer ?? world);
  try {
    await initializeCheckpoint(dir, init, opened.world, seed);
  } finally {
    await opened.close();
  }
}

function learnerOf(recipe: Recipe, method: Method | undefined, context: LearnerContext, data: TrainingData): Learner {
  if ('demonstrations' in data) return supervised(recipe as SftRecipe, context, data.demonstrations);
  return onPolicy(recipe as OnPolicyRecipe, method!, { ...context, world: data.world });
}

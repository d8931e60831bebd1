import type { Trainer } from '../engine/types.ts';
import { writeAgentFile } from '../tools/agentFile.ts';
import { bestOf, evaluationOf } from './evaluationMetrics.ts';
import type { Learner } from './learner.ts';
import type { Recipe } from './recipe.ts';
import type { Standing } from './resume.ts';
import type { Progress, RunDirectory } from './runDirectory.ts';
import { saveModel } from './saveModel.ts';
import type { TrainEvent } from './trainEvent.ts';
import type { Watch } from './watch.ts';

export interface LoopOptions {
  recipe: Recipe;
  run: RunDirectory;
  trainer: Trainer;
  learner: Learner;
  watch: Watch;
  /** The model that the run started from. */
  base: string;
  signal: AbortSignal;
  onProgress: (event: TrainEvent) => void;
}

export interface LoopEnd {
  /** False if the signal or the guard ended the run early. */
  finished: boolean;
  /** What the guard said, where it ended the run. */
  stoppedBy?: string;
  /** The trained model, or the checkpoint to go on from; where the guard ended the run, the last good one. */
  checkpoint: string;
}

/** Iterates from where a run stands, which it keeps up to date, to its end, or until the signal or the guard ends it; measures and saves in between. */
export async function iterate(options: LoopOptions, standing: Standing): Promise<LoopEnd> {
  const { recipe, run, trainer, learner, watch, base, signal, onProgress } = options;
  const { iterations, updatesPerIteration } = learner;
  let saved = standing.iteration;
  const progress = (): Progress => ({
    iteration: standing.iteration,
    update: standing.iteration * updatesPerIteration,
  });
  const guard = 'guard' in recipe && recipe.guard.action === 'stop' ? recipe.guard : undefined;
  const goodUpdates = () => guard && (standing.iteration - guard.last) * updatesPerIteration;
  const discard = async (dir: string) => trainer.discard?.(dir);
  const save = async () => {
    const write = async (dir: string) => {
      await trainer.save(dir, { optimizer: true });
      await learner.ahead?.keep(dir, standing.iteration);
      writeAgentFile(dir, recipe.tool);
    };
    standing.checkpoint = await run.checkpoint(progress(), write, { discard, good: goodUpdates() });
    saved = standing.iteration;
  };

  for (;;) {
    if (!(await unlessStopped(signal, () => evaluate(options, progress())))) break;
    if (standing.iteration === iterations) {
      run.keepMetrics(watch.history);
      await saveModel(trainer, recipe, run.final);
      return { finished: true, checkpoint: run.final };
    }
    const metrics = signal.aborted ? undefined : await unlessStopped(signal, () => learner.iterate(standing.iteration));
    if (!metrics) break;
    standing.iteration++;
    const { line, warning } = watch.log({ ...progress(), ...metrics });
    onProgress({ kind: 'iteration', iterations, metrics: line });
    if (warning) onProgress({ kind: 'notice', notice: warning });
    if (warning && guard) {
      const good = await run.forgetCheckpointsAfter(goodUpdates()!, discard);
      return { finished: false, stoppedBy: warning, checkpoint: good ?? base };
    }
    if (standing.iteration % recipe.save.every === 0 && standing.iteration < iterations) await save();
  }
  if (!standing.checkpoint || saved < standing.iteration) await save();
  return { finished: false, checkpoint: standing.checkpoint! };
}

/** Measures the policy, where it is time to. @throws AbortError when the signal fires. */
async function evaluate({ watch, learner, signal, onProgress }: LoopOptions, progress: Progress): Promise<true> {
  if (!watch.isDue(progress)) return true;
  await learner.ahead?.rest();
  const { iterations } = learner;
  const { iteration } = progress;
  const onTrajectory = (done: number, total: number) =>
    onProgress({ kind: 'phase', iteration, iterations, phase: 'evaluation', done, total });
  const line = await watch.evaluate(progress, { signal, onProgress: onTrajectory });
  const isBest = bestOf(watch.history) === line;
  onProgress({ kind: 'evaluation', iteration, iterations, evaluation: evaluationOf(line)!, isBest });
  return true;
}

/** What work gives; undefined if the signal ended it. */
async function unlessStopped<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && (error as Error).name === 'AbortError') return undefined;
    throw error;
  }
}

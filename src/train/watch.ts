import type { Trainer } from '../engine/types.ts';
import { keepEvaluations } from '../eval/keptEvaluations.ts';
import type { Chat } from '../text/chat.ts';
import type { Trackers } from '../trackers/trackers.ts';
import type { MeasureControl, OpenEvaluation } from './evaluation.ts';
import { bestOf, evaluationMetrics, evaluationOf } from './evaluationMetrics.ts';
import { departures, formatDepartures } from './guard.ts';
import type { Recipe } from './recipe.ts';
import { type Metrics, type Progress, type RunDirectory, readMetrics } from './runDirectory.ts';
import { saveModel } from './saveModel.ts';

export interface WatchOptions {
  recipe: Recipe;
  run: RunDirectory;
  /** What the run has, in all. */
  iterations: number;
  trainer: Trainer;
  chat: Chat;
  evaluation?: OpenEvaluation;
  /** They are told of every line, those that are there already included. */
  trackers: Trackers;
}

/**
 * What is seen of a run while it goes on: its metrics, evaluations of its policy, of which the best model is kept, and whether
 * it collapses. All of it is a function of the metrics and the weights, so a run that is resumed sees the same.
 */
export class Watch {
  readonly #options: WatchOptions;
  /** A line an iteration, and one before the first where the model was measured there. */
  readonly #history: Metrics[];

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#history = readMetrics(options.run.path);
    for (const line of this.#history) options.trackers.tell(line);
  }

  get history(): readonly Metrics[] {
    return this.#history;
  }

  /** Whether the recipe asks for an evaluation here, and the run has not made it. */
  isDue({ iteration }: Pick<Progress, 'iteration'>): boolean {
    const { recipe, iterations, evaluation } = this.#options;
    if (!evaluation) return false;
    const isPlace = iteration % recipe.evaluate!.every === 0 || iteration === iterations;
    return isPlace && !evaluationOf(this.#lineOf({ iteration }));
  }

  /**
   * Measures the policy, where that is due, and keeps its model if it is the best so far.
   * @returns the line that says it
   * @throws AbortError when the signal fires.
   */
  async evaluate(progress: Progress, control: MeasureControl): Promise<Metrics> {
    const { recipe, run, trainer, chat, evaluation, trackers } = this.#options;
    const policy = { chat, sampler: await trainer.sampler() };
    const measured = await evaluation!.measure(policy, run.evaluation(progress.iteration), control);
    const told = { ...progress, evaluation: evaluationMetrics(measured) };
    const known = this.#lineOf(progress);
    const line = { ...known, ...told };
    const before = known ? this.#history.slice(0, -1) : this.#history;
    // The line comes last: a run killed before it measures again, and keeps the same model.
    if (bestOf([...before, line]) === line) {
      await saveModel(trainer, recipe, run.best);
      await keepEvaluations(run.best, measured);
    }
    run.logMore(told);
    if (known) this.#history.pop();
    this.#history.push(line);
    trackers.tell(line);
    return line;
  }

  /** Takes down an iteration. @returns its line, and what the guard says where a metric has left its band with it */
  log(metrics: Metrics): { line: Metrics; warning?: string } {
    const { recipe, run, trackers } = this.#options;
    const guard = 'guard' in recipe ? recipe.guard : undefined;
    const outside = guard ? departures([...this.#history, metrics], guard) : [];
    const before = guard ? departures(this.#history, guard) : [];
    const line = { ...metrics, ...(outside.length > 0 && { outOfBand: outside.map(({ metric }) => metric) }) };
    run.log(line);
    this.#history.push(line);
    trackers.tell(line);
    const left = outside.filter(({ metric }) => !before.some(departure => departure.metric === metric));
    return { line, warning: left.length > 0 ? formatDepartures(left, metrics.iteration, guard!) : undefined };
  }

  #lineOf({ iteration }: Pick<Progress, 'iteration'>): Metrics | undefined {
    const last = this.#history.at(-1);
    return last?.iteration === iteration ? last : undefined;
  }
}

/**
 * What overlaps in training on policy. Groups are scored while others are sampled (`Round`). With `rollout.ahead: 1`, moreover, the
 * next iteration's rollouts begin when those of this one are there, by the weights before this iteration's updates:
 *
 *     policy     sample 0 │ sample 1 by weights 0 │ sample 2 by weights 1 │ …
 *     teacher      score 0 ───│   score 1 ────────────│   score 2 ─── …
 *     trainer             │ update 0 → weights 1 │ update 1 → weights 2 │ …
 *
 * Where policy and trainer share their weights, the updates wait until the next rollouts are there, and only the teacher's work overlaps.
 */
import { abortable } from '../abortable.ts';
import type { Task } from '../data/task.ts';
import { Turnstile } from '../turnstile.ts';
import { type KeptRollouts, keepRollouts, readRollouts } from './keptRollouts.ts';
import type { Ahead, OnPolicyContext } from './learner.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { refilled } from './refill.ts';
import { Round, type RoundOptions, type Sample, type Sampled } from './round.ts';
import { readMetrics } from './runDirectory.ts';
import { sampleGroups } from './sampleGroups.ts';
import type { Timeline } from './timeline.ts';
import { batchOfTasks, trainingTasks } from './trainingTasks.ts';

/** Groups that a teacher is asked about at once: while one is on its way, another is computed. */
const scoredAtOnce = 4;

export class Pipeline implements Ahead {
  readonly #recipe: OnPolicyRecipe;
  readonly #context: OnPolicyContext;
  readonly #options: RoundOptions;
  #chosen: number[] | undefined;
  /** The one that is learned from, and the one that was begun ahead. */
  #rounds: Round[] = [];
  /** What the checkpoint had that the run goes on from. */
  #kept: KeptRollouts | undefined;
  /** Batches of prompts that were taken until an iteration, where this process knows. */
  #taken: { iteration: number; batches: number } | undefined;

  constructor(recipe: OnPolicyRecipe, teacher: RoundOptions['teacher'], context: OnPolicyContext, timeline: Timeline) {
    this.#recipe = recipe;
    this.#context = context;
    const { trajectories, alternatives } = recipe.save;
    this.#options = {
      teacher,
      alternatives: trajectories > 0 ? alternatives : 0,
      context,
      timeline,
      turnstile: new Turnstile(scoredAtOnce),
    };
  }

  /** The tasks are chosen before the first round, once. */
  async prepare(): Promise<void> {
    this.#chosen ??= await trainingTasks(this.#recipe, this.#context);
  }

  /** An iteration's round, when its rollouts are there; where it may be, the next one has begun then. */
  async sampled(iteration: number): Promise<Round> {
    const { rollout, training } = this.#recipe;
    const round = this.#roundOf(iteration) ?? this.#restored(iteration) ?? (await this.#begin(iteration, false));
    this.#rounds = [round];
    round.show('rollout');
    const { firstBatch, batches } = await abortable(round.sampled, this.#context.signal);
    this.#taken = { iteration: iteration + 1, batches: firstBatch + batches };
    if (rollout.ahead === 1 && iteration + 1 < training.iterations) {
      this.#rounds.push(await this.#begin(iteration + 1, true));
    }
    return round;
  }

  /** Ends when the weights may change. */
  async beforeUpdates(): Promise<void> {
    const { trainer, signal } = this.#context;
    const next = this.#rounds[1];
    if (next && !trainer.samplesApart) await shownUntilThere(next);
    signal.throwIfAborted();
    // Nobody could sample it again.
    next?.outlastSignal();
  }

  async rest(): Promise<void> {
    const next = this.#rounds[1];
    if (next) await abortable(shownUntilThere(next), this.#context.signal);
  }

  async keep(dir: string, iteration: number): Promise<void> {
    const round = this.#roundOf(iteration);
    if (!round?.isStale) return;
    const { tasks: _, ...sampled } = await shownUntilThere(round);
    await keepRollouts(dir, { iteration, ...sampled });
  }

  async goOnFrom(dir: string | undefined, iteration: number): Promise<void> {
    await this.end();
    const { rollout, training } = this.#recipe;
    const wasAhead = rollout.ahead === 1 && dir !== undefined && iteration > 0 && iteration < training.iterations;
    this.#kept = wasAhead ? readRollouts(dir, iteration) : undefined;
  }

  async end(): Promise<void> {
    await Promise.all(this.#rounds.splice(0).map(round => round.end()));
  }

  #roundOf(iteration: number): Round | undefined {
    return this.#rounds.find(round => round.iteration === iteration);
  }

  /** Begins to sample by the weights as they are. */
  async #begin(iteration: number, isStale: boolean): Promise<Round> {
    const { training, rollout } = this.#recipe;
    const firstBatch = rollout.refill > 0 ? this.#batchesBefore(iteration) : iteration;
    const sampler = this.#options.timeline.watched(await this.#context.trainer.sampler());
    return this.#round(iteration, isStale, async (listener, signal) => {
      const all: Task[] = [];
      const sampled = await refilled(training.promptsPerIteration, rollout.refill, async batch => {
        const tasks = this.#tasksOf(firstBatch + batch);
        all.push(...tasks);
        const context = { ...this.#context, sampler, signal };
        return { tasks, groups: await sampleGroups(this.#recipe, tasks, firstBatch + batch, context, listener) };
      });
      return { ...sampled, firstBatch, places: sampled.tasks.map(task => all.indexOf(task)) };
    });
  }

  #restored(iteration: number): Round | undefined {
    if (this.#kept?.iteration !== iteration) return undefined;
    const { groups, ...kept } = this.#kept;
    this.#kept = undefined;
    return this.#round(iteration, true, async ({ onGroup }) => {
      const { firstBatch, batches, places } = kept;
      const all = Array.from({ length: batches }, (_, batch) => this.#tasksOf(firstBatch + batch)).flat();
      const tasks = places.map(place => all[place]);
      groups.forEach((group, g) => {
        onGroup(tasks[g], group);
      });
      return { ...kept, tasks, groups };
    });
  }

  #round(iteration: number, isStale: boolean, sample: Sample): Round {
    const { promptsPerIteration: groups } = this.#recipe.training;
    return new Round({ iteration, isStale, groups }, sample, this.#options);
  }

  #tasksOf(batch: number): Task[] {
    return batchOfTasks(this.#chosen!, this.#recipe, this.#context.world, batch);
  }

  /** Batches of prompts that the iterations before have taken, as their metrics tell where this process does not know. */
  #batchesBefore(iteration: number): number {
    if (this.#taken?.iteration === iteration) return this.#taken.batches;
    const last = readMetrics(this.#context.run.path, iteration).at(-1);
    return last === undefined ? 0 : (last.refill as { untilNow: number }).untilNow;
  }
}

/** The rollouts of a round; while they are under way, how far they are is told. */
async function shownUntilThere(round: Round): Promise<Sampled> {
  const isThere = await Promise.race([round.sampled, undefined]);
  if (!isThere) round.show('rollout');
  return round.sampled;
}

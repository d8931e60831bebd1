import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Scores } from '../engine/types.ts';
import type { Teacher } from '../methods/method.ts';
import type { Turnstile } from '../turnstile.ts';
import type { SamplingContext } from './learner.ts';
import type { RefilledGroups } from './refill.ts';
import type { SamplingListener } from './sampleGroups.ts';
import { scoreGroup } from './teacher.ts';
import type { Timeline } from './timeline.ts';

/** The groups that an iteration learns from. */
export interface Sampled extends RefilledGroups {
  /** The batch of prompts that they begin with. */
  firstBatch: number;
  /** The place of each group's task among those of all batches. */
  places: number[];
}

export interface RoundOptions {
  /** Who scores, if anybody does. */
  teacher: Teacher | undefined;
  /** How many of its most probable tokens it tells in the place of each. */
  alternatives: number;
  context: SamplingContext;
  timeline: Timeline;
  /** Before the teacher; all rounds share it. */
  turnstile: Turnstile;
}

export interface RoundPlan {
  iteration: number;
  /** Whether other weights sample than those that learn from it. */
  isStale: boolean;
  /** That it learns from. */
  groups: number;
}

/** Samples, or knows what was sampled before. @throws the reason of `signal` */
export type Sample = (listener: Required<SamplingListener>, signal: AbortSignal) => Promise<Sampled>;

type Phase = 'rollout' | 'teacher';

/**
 * The rollouts of an iteration, and what the teacher thinks of them: it scores each group as soon as that is complete, while others
 * are sampled. What fails ends the rest, and so does the context's signal.
 */
export class Round {
  readonly iteration: number;
  readonly isStale: boolean;
  readonly sampled: Promise<Sampled>;
  readonly #scores: Promise<Scores[][] | undefined>;
  readonly #options: RoundOptions;
  readonly #end = new AbortController();
  readonly #onSignal = () => this.#end.abort(this.#options.context.signal.reason);
  readonly #progress: Record<Phase, { done: number; total: number }>;
  #shown: Phase | undefined;

  constructor({ iteration, isStale, groups }: RoundPlan, sample: Sample, options: RoundOptions) {
    this.iteration = iteration;
    this.isStale = isStale;
    this.#options = options;
    this.#progress = { rollout: { done: 0, total: 0 }, teacher: { done: 0, total: groups } };
    const { signal } = options.context;
    if (signal.aborted) this.#onSignal();
    signal.addEventListener('abort', this.#onSignal);
    const scores = new Map<Trajectory[], Promise<Scores[]>>();
    const listener = {
      onGroup: (task: Task, group: Trajectory[]) => {
        if (options.teacher) scores.set(group, this.#score(options.teacher, task, group));
      },
      onTrajectory: (done: number, total: number) => this.#note('rollout', done, total),
    };
    this.sampled = this.#endsAll(sample(listener, this.#end.signal));
    const ofGroups = (groups: Trajectory[][]) => Promise.all(groups.map(group => scores.get(group)!));
    this.#scores = this.#endsAll(this.sampled.then(({ groups }) => options.teacher && ofGroups(groups)));
    Promise.allSettled([this.#scores]).then(() => this.outlastSignal());
  }

  /** [P][G], where there is a teacher. */
  scored(): Promise<Scores[][] | undefined> {
    this.show('teacher');
    return this.#scores;
  }

  /** Tells how far one of its phases is from now on, where otherwise nothing is told. */
  show(phase: Phase): void {
    this.#shown = phase;
    this.#tell();
  }

  /** The context's signal ends it no more. */
  outlastSignal(): void {
    this.#options.context.signal.removeEventListener('abort', this.#onSignal);
  }

  /** Drops it, as far as it has not come. */
  async end(): Promise<void> {
    this.#end.abort(new DOMException('The rollouts were dropped', 'AbortError'));
    await Promise.allSettled([this.sampled]);
  }

  #score(teacher: Teacher, task: Task, group: readonly Trajectory[]): Promise<Scores[]> {
    const { context, timeline, turnstile, alternatives } = this.#options;
    const { signal } = this.#end;
    const scored = turnstile.pass(async () => {
      signal.throwIfAborted();
      const scores = await timeline.during('teacher', () => scoreGroup(teacher, task, group, context, alternatives));
      signal.throwIfAborted();
      const { done, total } = this.#progress.teacher;
      this.#note('teacher', done + 1, total);
      return scores;
    });
    return this.#endsAll(scored);
  }

  /** All that is left undone fails by the same reason: what failed first, or the signal's. */
  #endsAll<T>(work: Promise<T>): Promise<T> {
    const ended = work.catch(error => {
      this.#end.abort(error);
      throw this.#end.signal.reason;
    });
    ended.catch(() => {});
    return ended;
  }

  #note(phase: Phase, done: number, total: number): void {
    this.#progress[phase] = { done, total };
    if (phase === this.#shown) this.#tell();
  }

  #tell(): void {
    const phase = this.#shown!;
    const { done, total } = this.#progress[phase];
    if (done > 0) this.#options.context.onProgress({ phase, done, total });
  }
}

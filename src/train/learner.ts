import type { Task } from '../data/task.ts';
import type { Scorer, Trainer } from '../engine/types.ts';
import type { Chat } from '../text/chat.ts';
import type { World } from '../worlds/world.ts';
import type { Metrics, RunDirectory } from './runDirectory.ts';

/** Who scores the trajectories of a task. */
export type TeacherOf = (task: Task) => Scorer;

/** What a run works with, beside its recipe. */
export interface LearnerContext {
  run: RunDirectory;
  trainer: Trainer;
  teacher?: TeacherOf;
  chat: Chat;
  /** Fires when the person wants the run to end; what has not touched the weights may be dropped. */
  signal: AbortSignal;
  onProgress: (progress: PhaseProgress) => void;
  /** What the person may want to know. */
  onNotice: (notice: string) => void;
}

/** … and the world that the policy acts in. */
export interface OnPolicyContext extends LearnerContext {
  world: World;
}

/** What sampling and scoring take: no run has to be under way. */
export type SamplingContext = Omit<OnPolicyContext, 'run'>;

export type Phase = 'prompts' | 'demonstrations' | 'rollout' | 'teacher' | 'update' | 'save' | 'evaluation';

export interface PhaseProgress {
  phase: Phase;
  done: number;
  total: number;
}

/** What a learner has begun before the iteration that it is for. It is no function of the weights of a checkpoint alone. */
export interface Ahead {
  /** Ends when nothing of it samples any more, and the policy is free for other work. */
  rest(): Promise<void>;
  /** Keeps in a checkpoint after so many iterations what its weights cannot give again. */
  keep(dir: string, iteration: number): Promise<void>;
  /**
   * Forgets all, and begins with what a checkpoint after so many iterations has kept; without one, with nothing.
   * @throws UserError if that is missing or damaged
   */
  goOnFrom(dir: string | undefined, iteration: number): Promise<void>;
  /** Drops what is under way. */
  end(): Promise<void>;
}

/** One way of learning, iteration by iteration. Each is a function of the weights, the recipe and the iteration's number alone. */
export interface Learner {
  iterations: number;
  updatesPerIteration: number;
  ahead?: Ahead;
  /**
   * Makes the updates of an iteration (counted from 0).
   * @throws AbortError when the signal fires before the first of them: the weights are then untouched.
   */
  iterate(iteration: number): Promise<Omit<Metrics, 'iteration' | 'update'>>;
}

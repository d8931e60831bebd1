import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';

/** How one trajectory's distillation is weighted, by step. */
export interface StepWeighting {
  /** d_k: how far student and teacher are apart in the step. */
  divergence: number[];
  /** w_k: how much the step's distillation counts. */
  weight: number[];
}

export interface GroupAdvantages {
  /** One array for each trajectory, as long as its tokens; 0 on tokens that were not sampled. */
  advantages: Float32Array[];
  /** One for each trajectory, by the methods that distil. */
  steps?: StepWeighting[];
}

/**
 * Who scores what the student said: another model, or the model that the training started from, whose prompt also shows
 * the answer or a hint towards it.
 */
export type Teacher = 'model' | 'self-with-answer' | 'self-with-hint';

/** What tells the methods apart: which advantage each sampled token gets. All else of a training step is the same. */
export interface Method {
  name: string;
  /** Whose log-probabilities `advantages` needs; nobody's if absent. */
  teacher?: Teacher;
  /**
   * Token advantages of `group`, the trajectories sampled from one prompt.
   * `teacherLogprobs`: one array for each trajectory, aligned with its tokens.
   */
  advantages(group: readonly Trajectory[], teacherLogprobs?: readonly Float32Array[]): GroupAdvantages;
}

/** Makes a method with the given options, and says what a recipe has to know of it. */
export interface MethodMaker<Shape extends z.ZodRawShape = z.ZodRawShape> {
  (options?: z.input<z.ZodObject<Shape>>): Method;
  teacher?: Teacher;
  /** What a recipe can say in the section that has the method's name. */
  options: Shape;
}

/** Defines a method. `advantages` takes the options, checked and complete, and gives `Method.advantages`. */
export function defineMethod<Shape extends z.ZodRawShape>({
  name,
  teacher,
  options,
  advantages,
}: {
  name: string;
  teacher?: Teacher;
  options: Shape;
  advantages: (options: z.output<z.ZodObject<Shape>>) => Method['advantages'];
}): MethodMaker<Shape> {
  const schema = z.object(options);
  const make = (given: z.input<z.ZodObject<Shape>> = {} as z.input<z.ZodObject<Shape>>): Method => ({
    name,
    teacher,
    advantages: advantages(schema.parse(given)),
  });
  return Object.assign(make, { teacher, options });
}

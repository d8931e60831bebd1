import { z } from 'zod';
import { section } from '../schema.ts';

const count = z.number().int().positive();

/** How a recipe asks for the policy to be measured while it is trained; the defaults are those of `sod eval`, but for `samples`. */
export const evaluateSchema = section({
  /** Iterations between two evaluations; there is one before the first iteration and one after the last, too. */
  every: count.default(10),
  /** Held-out tasks of the world that the run learns in, the first ones … */
  tasks: count.max(1e7).optional(),
  /** … or benchmarks, as `sod eval --benchmark` takes them. */
  benchmark: z.string().min(1).optional(),
  /** Of each task. */
  samples: count.max(1e4).default(4),
  /** Of sampling; 0 is greedy. */
  temperature: z.number().nonnegative().default(1),
  topP: z.number().positive().max(1).default(0.6),
  maxPromptTokens: count.default(4096),
  /** Default: that of rollout, where there is one. */
  maxTurns: count.optional(),
  /** Default: that of rollout, where there is one. */
  maxResponseTokens: count.optional(),
  seed: z.number().int().nonnegative().default(0),
}).refine(({ tasks, benchmark }) => !tasks !== !benchmark, 'give either tasks or benchmark');
export type EvaluateSettings = z.output<typeof evaluateSchema>;

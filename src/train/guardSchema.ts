import { z } from 'zod';
import { section } from '../schema.ts';

const count = z.number().int().positive();
const factor = z.union([z.number().gt(1), z.literal('off')], 'expected a number >1, or off');
const actions = ['warn', 'stop', 'off'] as const;

/** `guard: stop` is `guard: { action: stop }`. */
export const guardSchema = z
  .preprocess(
    given => (typeof given === 'string' ? { action: given } : given),
    section({
      /** warn: the run says so; stop: it also ends, with the last checkpoint from before. */
      action: z.enum(actions).default('warn'),
      /** Iterations that make the bands … */
      first: count.min(2).default(10),
      /** … and how many of the last ones are held against them. */
      last: count.default(3),
      /** So many times the mean of the first iterations is too much … */
      reverseKl: factor.default(3),
      /** … so many times, and the part that it is divided into so many, too long and too short … */
      responseTokens: factor.default(2),
      /** … and that part of these is too little. */
      toolTurns: factor.default(2),
      accuracy: factor.default(2),
      /** Standard deviations of the first iterations that every band reaches from their mean. */
      deviations: z.number().nonnegative().default(4),
    }),
  )
  .prefault({});
export type Guard = z.output<typeof guardSchema>;

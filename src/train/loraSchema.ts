import { z } from 'zod';
import { linearNames } from '../model/config.ts';
import { section } from '../schema.ts';

/** Adapters of low rank that are trained in the place of the weights, here or on a server. */
export const loraSchema = section({
  rank: z.int().positive().max(4096).default(32),
  /**
   * What they give is multiplied by alpha / rank. 32 is what servers with the Tinker API take for every rank: with it, a learning
   * rate that suits one rank about suits others, and at the default rank the factor is 1, as by PEFT's own defaults.
   */
  alpha: z.number().positive().default(32),
  /** The linear layers that have them, by PEFT's names. */
  targets: z
    .array(z.enum(linearNames, { error: `must be one of ${linearNames.join(', ')}` }))
    .min(1)
    .default([...linearNames])
    .transform(given => linearNames.filter(name => given.includes(name))),
});

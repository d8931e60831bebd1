import type { Measurement } from '../bench.ts';
import { decode } from './decode.ts';
import { distill } from './distill.ts';
import { group } from './group.ts';
import { length } from './length.ts';
import { memory } from './memory.ts';
import { prefill } from './prefill.ts';
import { products } from './products.ts';
import { scoring } from './scoring.ts';
import { sharing } from './sharing.ts';
import { small } from './small.ts';
import { tools } from './tools.ts';
import { training } from './training.ts';
import { weights } from './weights.ts';

/** Every part of the table by the name that `--only` knows it by. */
export const measurements: Readonly<Record<string, Measurement>> = {
  products,
  training,
  scoring,
  decode,
  prefill,
  group,
  memory,
  small,
  distill,
  sharing,
  length,
  tools,
  weights,
};

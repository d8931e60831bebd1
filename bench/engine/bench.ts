import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { Measured } from './figure.ts';
import type { Programs, TorchName } from './install.ts';
import type { Models } from './models.ts';
import type { Precision } from './product.ts';

/** What every measurement is given. */
export interface Bench {
  /** What the engine computes in on this ISA. */
  precision: Precision;
  threads: number;
  models: Models;
  programs: Programs;
  /** The PyTorches to compare with. */
  torches: readonly TorchName[];
  /** Default: the CPU. */
  torchDevice?: 'cuda';
  /** Pairs of runs, the sides in turn; medians are reported. */
  pairs: number;
}

export type Measurement = (bench: Bench) => Promise<Measured[]>;

export const GiB = 2 ** 30;

/** `pairs` rounds of all sides, each round in the other direction than the one before. */
export async function inTurns(pairs: number, sides: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (let pair = 0; pair < pairs; pair++) {
    for (const side of pair % 2 ? sides.toReversed() : sides) await side();
  }
}

export function configOf(checkpoint: string): ModelConfig {
  const opened = readCheckpoint(checkpoint);
  opened.close();
  return opened.config;
}

export function ms(seconds: number): string {
  return (seconds * 1000).toFixed(1);
}

export function note(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

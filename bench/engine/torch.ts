import type { ModelConfig } from '../../src/model/config.ts';
import { type Bench, note } from './bench.ts';
import type { TorchProgram } from './install.ts';
import { median } from './median.ts';
import { Peer } from './peer.ts';

export type Work = Record<string, unknown>;
/** Seconds of each repetition. */
export type Run = (work: Work) => Promise<number[]>;

/** What PyTorch is told of where to compute: on which processor, there by how many threads. */
type Torched = Pick<Bench, 'threads' | 'torchDevice'>;

export type TorchPrecision = 'float32' | 'bfloat16';

/** A model of that shape in PyTorch, or in a program upon it. */
export function withTorch<T>(
  { command }: TorchProgram,
  { threads, torchDevice }: Torched,
  config: ModelConfig,
  dtype: TorchPrecision,
  body: (run: Run) => Promise<T>,
): Promise<T> {
  return Peer.with(command, { config, dtype, threads, device: torchDevice ?? 'cpu' }, peer =>
    body(async work => (await peer.request(work)).seconds),
  );
}

/** In which precision PyTorch does that work fastest: one short try of each. */
export async function bestPrecision(
  program: TorchProgram,
  bench: Torched,
  config: ModelConfig,
  work: Work,
): Promise<TorchPrecision> {
  const seconds = async (dtype: TorchPrecision) => {
    try {
      return median(await withTorch(program, bench, config, dtype, run => run({ ...work, repeats: 1 })));
    } catch {
      return Infinity; // an old PyTorch may have no such products on this ISA
    }
  };
  const [float32, bfloat16] = [await seconds('float32'), await seconds('bfloat16')];
  const best = bfloat16 < float32 ? 'bfloat16' : 'float32';
  note(`${program.title}, ${work.op}: ${best} (float32 ${shown(float32)}, bfloat16 ${shown(bfloat16)})`);
  return best;
}

function shown(seconds: number): string {
  return Number.isFinite(seconds) ? `${seconds.toFixed(2)} s` : 'not at all';
}

/** A PyTorch to compare with, in its best precision for some work, and how long it took for that. */
export interface Rival {
  program: TorchProgram;
  dtype: TorchPrecision;
  seconds: number[];
}

/** Those that were chosen, each tried with that short work. */
export async function rivals(
  bench: Torched & Pick<Bench, 'torches' | 'programs'>,
  config: ModelConfig,
  work: Work,
): Promise<Rival[]> {
  const all: Rival[] = [];
  for (const name of bench.torches) {
    const program = bench.programs.torch[name];
    all.push({ program, dtype: await bestPrecision(program, bench, config, work), seconds: [] });
  }
  return all;
}

/** All of them loaded side by side; each side runs the work once. */
export function withRivals<T>(
  [first, ...others]: readonly Rival[],
  bench: Bench,
  config: ModelConfig,
  work: Work,
  body: (sides: (() => Promise<unknown>)[]) => Promise<T>,
): Promise<T> {
  if (!first) return body([]);
  return withTorch(first.program, bench, config, first.dtype, run =>
    withRivals(others, bench, config, work, sides =>
      body([async () => first.seconds.push(...(await run(work))), ...sides]),
    ),
  );
}

import { weightsDigest } from '../src/checkpoint/baseRecord.ts';
import { readCheckpoint } from '../src/checkpoint/checkpoint.ts';
import { writeAdapter } from '../src/checkpoint/writeAdapter.ts';
import { type LinearName, linearNames } from '../src/model/config.ts';
import { factorShapes } from '../src/model/lora.ts';
import { elements } from '../src/model/safetensors.ts';
import { Random } from '../src/random.ts';

interface RandomAdapter {
  rank: number;
  seed: number;
  /** Of the random numbers that its factors are. */
  deviation: number;
  targets?: readonly LinearName[];
}

/** Writes an adapter over a checkpoint that makes another model of it: no better one, but as different as a trained one is. */
export async function writeRandomAdapter(
  target: string,
  base: string,
  { rank, seed, deviation, targets = linearNames }: RandomAdapter,
): Promise<string> {
  const lora = { rank, alpha: rank, targets };
  const { config, close } = readCheckpoint(base);
  close();
  const tensors = [...factorShapes(config, lora)].map(([name, shape]) => ({
    name,
    shape,
    dtype: 'F32' as const,
    read() {
      const random = Random.of(seed, name);
      return Float32Array.from({ length: elements(shape) }, () => deviation * random.normal());
    },
  }));
  await writeAdapter(target, { lora, tensors, base, baseDigest: weightsDigest(base) });
  return target;
}

import { writeSync } from 'node:fs';
import { type TensorToWrite, writeGgufFile } from '../src/gguf/file.ts';
import { ggufName } from '../src/gguf/names.ts';
import { shapeMetadata } from '../src/gguf/shape.ts';
import { type TensorTypeName, tensorTypes } from '../src/gguf/tensorTypes.ts';
import { type ModelConfig, tensorShapes } from '../src/model/config.ts';
import { toF16 } from '../src/model/dtype.ts';
import { elements } from '../src/model/safetensors.ts';
import { Random } from '../src/random.ts';

/** Where a block has numbers of half precision, and how large they are for values of some hundredths. */
const halves: Partial<Record<TensorTypeName, { at: number[]; usual: number }>> = {
  F16: { at: [0], usual: 0.02 },
  Q4_0: { at: [0], usual: 2e-3 },
  Q4_1: { at: [0, 2], usual: 2e-3 },
  Q8_0: { at: [0], usual: 2.5e-4 },
  Q4_K: { at: [0, 2], usual: 6e-5 },
  Q6_K: { at: [208], usual: 7.5e-6 },
};

const blocksAtOnce = 1 << 14;

/** Writes a model of random blocks, without a tokenizer: its size in memory and the work that it makes are those of a real one. */
export async function writeRandomGguf(
  path: string,
  config: ModelConfig,
  typeOf: (name: string) => TensorTypeName,
): Promise<void> {
  const tensors = [...tensorShapes(config)].map(([name, shape]): TensorToWrite => {
    const isNorm = shape.length === 1;
    const type = isNorm ? 'F32' : typeOf(name);
    const write = (fd: number) => {
      if (isNorm) writeSync(fd, new Float32Array(shape[0]).fill(1));
      else writeRepeated(fd, type, elements(shape) / tensorTypes[type].values, name);
    };
    return { name: ggufName(name), shape, type, write };
  });
  await writeGgufFile(path, shapeMetadata(config), tensors);
}

/** The same blocks again and again, where there are very many. */
function writeRepeated(fd: number, type: TensorTypeName, count: number, seed: string): void {
  const blocks = randomBlocks(type, Math.min(count, blocksAtOnce), seed);
  for (let left = count; left > 0; left -= blocksAtOnce)
    writeSync(fd, blocks.subarray(0, left * tensorTypes[type].bytes));
}

/** @param scale of the numbers of half or more precision in each block; default: such that its values are some hundredths */
export function randomBlocks(
  type: TensorTypeName,
  count: number,
  seed: number | string,
  scale = halves[type]?.usual ?? 0.02,
): Uint8Array<ArrayBuffer> {
  const { bytes } = tensorTypes[type];
  const random = Random.of('blocks', type, seed);
  const result = new Uint8Array(count * bytes);
  for (let i = 0; i < result.length; i++) result[i] = random.below(256);
  const view = new DataView(result.buffer);
  const float = new Float32Array(1);
  const half = new Uint16Array(1);
  const next = () => {
    float[0] = scale * random.normal();
    return new Uint32Array(float.buffer);
  };
  for (let at = 0; at < result.length; at += bytes) {
    if (type === 'F32') view.setUint32(at, next()[0], true);
    if (type === 'BF16') view.setUint16(at, next()[0] >>> 16, true);
    for (const place of halves[type]?.at ?? []) {
      toF16(next(), half);
      view.setUint16(at + place, half[0], true);
    }
  }
  return result;
}

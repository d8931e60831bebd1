import { freemem, totalmem } from 'node:os';
import { inGiB, sizeText } from '../../bytes.ts';
import { SystemRefusal } from '../../systemErrors.ts';
import { openCpu } from '../../tensor/cpu/cpu.ts';
import { Gpu } from '../../tensor/gpu/gpu.ts';
import { gpuDevice } from '../../tensor/gpu/gpuDevice.ts';
import { tileName } from '../../tensor/gpu/tiles.ts';
import { fastestTiles } from './fastestTiles.ts';
import { measureDevice, type Speed } from './measureDevice.ts';
import type { Measured } from './measurements.ts';

/** A device in words, and what of it is to be kept. */
export interface Described<T> {
  text: string;
  measured?: T;
}

/** What the CPU is and how fast, in bf16, in which it computes unless another precision is asked for; or why it cannot be used. */
export function describeCpu(): Described<Speed> {
  return orNone('cpu', () => {
    const { device, isa, threads } = openCpu();
    const speed = measureDevice(device, 'bf16');
    const memory = `${inGiB(freemem())} of ${inGiB(totalmem())} GiB free`;
    return {
      text: `cpu: kernels for ${isa}, ${threads} threads, ${memory}: ${speedText(speed, 'bf16')}`,
      measured: speed,
    };
  });
}

/** The same of the GPU, with its fastest tiles; a program in its place is not measured to be chosen. */
export async function describeGpu(): Promise<Described<Pick<Measured, 'gpu' | 'tiles'>>> {
  let gpu: Gpu | undefined;
  try {
    return orNone('gpu', () => {
      gpu = Gpu.open();
      const { name, isSoftware, features, largestBuffer } = gpu.info;
      const tiles = fastestTiles(gpu);
      const speed = measureDevice(gpuDevice(gpu), 'f32');
      const what = `${name}${isSoftware ? ', a program in the place of a GPU' : ''}`;
      const limits = `tensors of up to ${sizeText(largestBuffer)}`;
      const tiled = `products in tiles of ${Object.values(tiles).map(tileName).join(', ')} threads`;
      const text = `gpu: ${what}, ${limits}: ${speedText(speed, 'f32')}, ${tiled}; ${features.join(', ')}`;
      return { text, measured: { gpu: isSoftware ? undefined : { name, ...speed }, tiles: { [name]: tiles } } };
    });
  } finally {
    await gpu?.close();
  }
}

function orNone<T>(device: string, describe: () => Described<T>): Described<T> {
  try {
    return describe();
  } catch (error) {
    if (error instanceof SystemRefusal) return { text: `${device}: none (${error.message})` };
    throw error;
  }
}

function speedText({ flops, bytes, answerSeconds }: Speed, dtype: string): string {
  const answer = `${(answerSeconds * 1e6).toPrecision(3)} µs to an answer`;
  return `${(flops / 1e9).toPrecision(3)} GFLOP/s in ${dtype}, ${(bytes / 1e9).toPrecision(3)} GB/s, ${answer}`;
}

import { freemem, totalmem } from 'node:os';
import { inGiB, sizeText } from '../../bytes.ts';
import { SystemRefusal } from '../../systemErrors.ts';
import { Gpu } from '../../tensor/gpu/gpu.ts';
import { gpuDevice } from '../../tensor/gpu/gpuDevice.ts';
import { native } from '../../tensor/native.ts';
import { measureDevice, type Speed } from './measureDevice.ts';
import type { Measured } from './measuredDevice.ts';

/** What the CPU is, in words, and how fast: in bf16, in which it computes unless another precision is asked for. */
export function describeCpu(): { text: string; speed: Speed } {
  const { isa, threads } = native.cpu();
  const speed = measureDevice(native, 'bf16');
  const memory = `${inGiB(freemem())} of ${inGiB(totalmem())} GiB free`;
  return { text: `cpu: kernels for ${isa}, ${threads} threads, ${memory}: ${speedText(speed, 'bf16')}`, speed };
}

/** The same of the GPU, or why there is none; `measured` only where no program is in its place. */
export async function describeGpu(): Promise<{ text: string; measured?: Measured['gpu'] }> {
  let gpu: Gpu;
  try {
    gpu = Gpu.open();
  } catch (error) {
    if (error instanceof SystemRefusal) return { text: `gpu: none (${error.message})` };
    throw error;
  }
  try {
    const { name, isSoftware, features, largestBuffer } = gpu.info;
    const speed = measureDevice(gpuDevice(gpu), 'f32');
    const what = `${name}${isSoftware ? ', a program in the place of a GPU' : ''}`;
    const limits = `tensors of up to ${sizeText(largestBuffer)}`;
    const text = `gpu: ${what}, ${limits}: ${speedText(speed, 'f32')}; ${features.join(', ')}`;
    return { text, measured: isSoftware ? undefined : { name, ...speed } };
  } finally {
    await gpu.close();
  }
}

function speedText({ flops, bytes }: Speed, dtype: string): string {
  return `${(flops / 1e9).toPrecision(3)} GFLOP/s in ${dtype}, ${(bytes / 1e9).toPrecision(3)} GB/s`;
}

import type { Device, Id } from '../../tensor/device.ts';
import { largeEnough, secondsEach, type Work, work } from './timing.ts';

/** What a device does in a second, in products and in copying memory, which it reads and writes; and what it takes for next to nothing. */
export interface Speed {
  flops: number;
  bytes: number;
  /** Of a kernel among many that have next to nothing to do. */
  kernelSeconds: number;
  /** Until the result of one is read. */
  answerSeconds: number;
}

const seenSeconds = 0.4;
const copiedElements = 1 << 24;

/** Takes about a second. */
export function measureDevice(device: Device, dtype: 'f32' | 'bf16'): Speed {
  const { size, work: product } = largeEnough(size => squareProduct(device, dtype, size));
  const flops = (2 * size ** 3) / secondsEach(product, seenSeconds);
  product.free();
  const copy = largeCopy(device);
  const bytes = (2 * 4 * copiedElements) / secondsEach(copy, seenSeconds);
  copy.free();
  const little = squareProduct(device, 'f32', 16);
  const kernelSeconds = secondsEach(little, seenSeconds);
  const answerSeconds = Math.min(...Array.from({ length: 5 }, () => little.run(1)));
  little.free();
  return { flops, bytes, kernelSeconds, answerSeconds };
}

function squareProduct(device: Device, dtype: 'f32' | 'bf16', size: number): Work {
  const [w, x, y] = [0, 1, 2].map(() => zeros(device, dtype, [size, size]));
  const packed = device.pack(w, dtype === 'bf16', false, size);
  return work(device, y, [w, x, y, packed], () => device.linear(y, x, packed));
}

function largeCopy(device: Device): Work {
  const [x, y] = [0, 1].map(() => zeros(device, 'f32', [copiedElements]));
  return work(device, y, [x, y], () => device.convert(y, x));
}

function zeros(device: Device, dtype: string, shape: number[]): Id {
  const id = device.allocate(dtype, shape);
  device.zero(id);
  return id;
}

import type { Device, Id } from '../../tensor/device.ts';

/** What a device does in a second, in products and in copying memory, which it reads and writes; and what it takes for next to nothing. */
export interface Speed {
  flops: number;
  bytes: number;
  /** Of a kernel among many that have next to nothing to do. */
  kernelSeconds: number;
  /** Until the result of one is read. */
  answerSeconds: number;
}

const measuredSeconds = 0.4;
const copiedElements = 1 << 24;
const largestProduct = 4096;

/** Takes about a second. */
export function measureDevice(device: Device, dtype: 'f32' | 'bf16'): Speed {
  let size = 128;
  let product = squareProduct(device, dtype, size);
  // A first one also makes what the next ones find: programs, pages of memory.
  product.run(1);
  for (let seconds = product.run(1); seconds < 0.02 && size < largestProduct; seconds = product.run(1)) {
    product.free();
    size *= 2;
    product = squareProduct(device, dtype, size);
    product.run(1);
  }
  const flops = (2 * size ** 3) / secondsEach(product.run);
  product.free();
  const copy = largeCopy(device);
  copy.run(1);
  const bytes = (2 * 4 * copiedElements) / secondsEach(copy.run);
  copy.free();
  const little = squareProduct(device, 'f32', 16);
  little.run(1);
  const kernelSeconds = secondsEach(little.run);
  const answerSeconds = Math.min(...Array.from({ length: 5 }, () => little.run(1)));
  little.free();
  return { flops, bytes, kernelSeconds, answerSeconds };
}

/** Does something so many times. @returns the seconds that it took, until its result is there */
interface Work {
  run: (times: number) => number;
  free(): void;
}

function secondsEach(run: Work['run']): number {
  let times = 1;
  for (;;) {
    const seconds = run(times);
    if (seconds >= measuredSeconds) return seconds / times;
    times = Math.ceil(times * Math.min(10, (1.1 * measuredSeconds) / Math.max(seconds, 1e-6)));
  }
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

function work(device: Device, result: Id, held: Id[], once: () => void): Work {
  const end = device.view(result, 0, [1]);
  device.read(end);
  return {
    run(times) {
      const began = performance.now();
      for (let i = 0; i < times; i++) once();
      device.read(end);
      return (performance.now() - began) / 1000;
    },
    free() {
      for (const id of [end, ...held]) device.release(id);
    },
  };
}

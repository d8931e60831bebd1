import type { Device, Id } from '../../tensor/device.ts';

/** Something that a device does and can do again. */
export interface Work {
  /** Does it so many times. @returns the seconds that it took, until its result is there */
  run(times: number): number;
  free(): void;
}

/** `once`, whose result is in `result`; `held` is what it works on. */
export function work(device: Device, result: Id, held: Id[], once: () => void): Work {
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

/** Seconds that it takes each time, seen for so long. A first time also makes what the next ones find: programs, pages of memory. */
export function secondsEach({ run }: Work, seenSeconds: number): number {
  run(1);
  let times = 1;
  for (;;) {
    const seconds = run(times);
    if (seconds >= seenSeconds) return seconds / times;
    times = Math.ceil(times * Math.min(10, (1.1 * seenSeconds) / Math.max(seconds, 1e-6)));
  }
}

const shortest = 0.02;
const largest = 4096;

/** Work of a size at which a device has enough to do. */
export function largeEnough<T extends Work>(ofSize: (size: number) => T): { size: number; work: T } {
  for (let size = 128; ; size *= 2) {
    const work = ofSize(size);
    const seconds = Math.min(...[1, 2, 3].map(() => work.run(1)));
    if (size >= largest || seconds >= shortest) return { size, work };
    work.free();
  }
}

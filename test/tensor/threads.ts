import { native } from '../../src/tensor/cpu/native.ts';

/** Numbers of threads between which no bit may differ: fewer and more than the machine has cores. */
export const threadCounts = [...new Set([1, 2, 3, native().cpu().threads])];

export function withThreads<T>(threads: number, body: () => T): T {
  const before = native().cpu().threads;
  native().setThreads(threads);
  try {
    return body();
  } finally {
    native().setThreads(before);
  }
}

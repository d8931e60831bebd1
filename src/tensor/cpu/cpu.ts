import type { Device } from '../device.ts';
import { native } from './native.ts';

/** The CPU, and what its kernels are made for. */
export interface Cpu {
  device: Device;
  isa: string;
  threads: number;
  /** Whether it has products of bf16; where it has not, they are products of f32. */
  hasBf16: boolean;
}

/**
 * @param threads for the kernels; 0: as many as there are
 * @throws SystemRefusal where its kernels are not there
 */
export function openCpu(threads = 0): Cpu {
  const kernels = native();
  if (threads > 0) kernels.setThreads(threads);
  const { isa, bf16, threads: own } = kernels.cpu();
  return { device: { ...kernels, isa, withOneThread }, isa, threads: own, hasBf16: bf16 };
}

/** Whether it can be computed on. */
export function hasCpu(): boolean {
  try {
    native();
    return true;
  } catch {
    return false;
  }
}

function withOneThread(body: () => void): void {
  const { threads } = native().cpu();
  native().setThreads(1);
  try {
    body();
  } finally {
    native().setThreads(threads);
  }
}

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Device } from './device.ts';

/** The native module: the CPU's kernels, and what only it can do. Argument order and shapes are documented beside each kernel in native/. */
export interface Native extends Device {
  memory(): { liveBytes: number; pooledBytes: number; resources: number };
  cpu(): { isa: string; bf16: boolean; threads: number };
  setThreads(threads: number): void;
  /** Of whole blocks, of the type that has this number in GGUF files. */
  dequantize(type: number, blocks: Uint8Array, to: Float32Array): void;
  /** -1 where there is none. */
  firstInfinite(type: number, blocks: Uint8Array): number;
}

/** The build for this machine, or another that `SOD_KERNELS` names: a path. */
function load(): Native {
  const path = process.env.SOD_KERNELS ?? fileURLToPath(new URL('../../native/build/sod.node', import.meta.url));
  try {
    return createRequire(import.meta.url)(resolve(path)) as Native;
  } catch (error) {
    throw new Error(`The native kernels could not be loaded from ${path}; run setup.sh to build them. ${error}`);
  }
}

export const native = load();

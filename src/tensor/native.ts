import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The native module: kernels over tensors named by number. Argument order and shapes are documented beside each kernel in native/. */
export interface Native {
  allocate(dtype: string, shape: readonly number[]): number;
  view(tensor: number, offset: number, shape: readonly number[]): number;
  release(id: number): void;
  zero(tensor: number): void;
  write(tensor: number, data: Float32Array | Int32Array | Uint16Array): void;
  read(tensor: number): Float32Array | Int32Array;
  convert(y: number, x: number): void;
  memory(): { liveBytes: number; pooledBytes: number; resources: number };
  trim(): void;
  cpu(): { isa: string; bf16: boolean; threads: number };
  setThreads(threads: number): void;
  pack(w: number, bf16: boolean, backward: boolean, chunkRows: number): number;
  repack(forward: number, backward: number, w: number): void;
  // biome-ignore lint/suspicious/noExplicitAny: the typed wrappers are in ops.ts
  [kernel: string]: (...args: any[]) => any;
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

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SystemRefusal } from '../../systemErrors.ts';
import type { Kernels } from '../device.ts';

/** The native module: the CPU's kernels, and what only it can do. Argument order and shapes are documented beside each kernel in native/. */
export interface Native extends Kernels {
  memory(): { liveBytes: number; pooledBytes: number; resources: number };
  cpu(): { isa: string; bf16: boolean; threads: number };
  setThreads(threads: number): void;
}

let loaded: Native | undefined;

/**
 * The build for this machine, or another that `SOD_KERNELS` names: a path. It is loaded by who first computes on the CPU.
 * @throws SystemRefusal where it is not there, as on a machine without a compiler, or does not run here
 */
export function native(): Native {
  loaded ??= load(process.env.SOD_KERNELS ?? fileURLToPath(new URL('../../../native/build/sod.node', import.meta.url)));
  return loaded;
}

function load(path: string): Native {
  try {
    return createRequire(import.meta.url)(resolve(path)) as Native;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const wrong = code === 'MODULE_NOT_FOUND' ? 'are not there' : `cannot be used (${message.split('\n')[0]})`;
    throw new SystemRefusal(
      `the CPU's kernels, ${path}, ${wrong}: install make and a C++17 compiler and run setup.sh, or compute on a GPU, by --device gpu ` +
        'or engine.device: gpu',
    );
  }
}

import { openCpu } from '../../src/tensor/cpu/cpu.ts';
import { useDevice } from '../../src/tensor/currentDevice.ts';
import { Gpu } from '../../src/tensor/gpu/gpu.ts';
import { gpuDevice } from '../../src/tensor/gpu/gpuDevice.ts';

/** The GPU that the tests compute on; all tensors are its own from the import of this module on. */
export const gpu = Gpu.open();
export const onGpu = gpuDevice(gpu);
useDevice(onGpu);

/** What `work` gives on the CPU. */
export function byCpu<T>(work: () => T): T {
  useDevice(openCpu().device);
  try {
    return work();
  } finally {
    useDevice(onGpu);
  }
}

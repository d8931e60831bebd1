import { z } from 'zod';
import { device } from '../../tensor/currentDevice.ts';

/**
 * What decides on the last bits of a result: the ISA that kernels are compiled for, or WebGPU, and the precision that they compute in. The
 * number of threads does not.
 */
export const kernelsSchema = z.object({ isa: z.string(), dtype: z.enum(['f32', 'bf16']) });
export type Kernels = z.infer<typeof kernelsSchema>;

export function kernelsHere(dtype: Kernels['dtype']): Kernels {
  return { isa: device().isa, dtype };
}

/** `earlier` and those that go on, each once. */
export function withKernels(earlier: readonly Kernels[], now: Kernels): Kernels[] {
  return [...earlier.filter(({ isa, dtype }) => isa !== now.isa || dtype !== now.dtype), now];
}

export function kernelsText({ isa, dtype }: Kernels): string {
  return `kernels for ${isa} in ${dtype}`;
}

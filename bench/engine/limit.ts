import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Instruction sets that a larger machine can be limited to. */
export const limits = ['avx2'] as const;
export type Limit = (typeof limits)[number];

/** What a compiler calls the machine, limited or as it is. */
export function architecture(limit?: Limit): string {
  return limit === 'avx2' ? 'x86-64-v3' : 'native';
}

/**
 * From here on, the programs that are started use no more than an AVX2 machine has, where that is the limit: this project's kernels,
 * oneDNN in each of its users, PyTorch's own kernels, MKL and OpenBLAS. Which kernels a shell has chosen for OpenBLAS does not count.
 */
export function limitPrograms(limit?: Limit): void {
  for (const name of ['OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE']) delete process.env[name];
  if (!limit) return;
  const native = fileURLToPath(new URL('../../native', import.meta.url));
  execFileSync('make', ['--silent', `--directory=${native}`, `ISA=${architecture(limit)}`], {
    stdio: ['ignore', 2, 2],
  });
  Object.assign(process.env, {
    SOD_KERNELS: `${native}/build/${architecture(limit)}/sod.node`,
    ONEDNN_MAX_CPU_ISA: 'AVX2',
    ATEN_CPU_CAPABILITY: 'avx2',
    MKL_ENABLE_INSTRUCTIONS: 'AVX2',
    OPENBLAS_CORETYPE: 'Haswell',
  });
}

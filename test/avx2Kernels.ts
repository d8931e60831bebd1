import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Compiles the kernels for CPUs that have AVX2 and nothing wider, unless that is done. */
export default function setup(): void {
  const native = fileURLToPath(new URL('../native', import.meta.url));
  execFileSync('make', ['--silent', `--directory=${native}`, `--jobs=${availableParallelism()}`, 'ISA=x86-64-v3'], {
    stdio: ['ignore', 2, 2],
  });
}

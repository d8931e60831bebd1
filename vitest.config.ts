import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const cpu = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
const runsAvx2 = / avx2 /.test(cpu);

/**
 * What must hold whatever the kernels are compiled for: they themselves, the model that they make, bits that repeat. Where the
 * machine's kernels are as wide as those for x86-64-v3, the model has been tested with that width.
 */
const ofKernels = ['test/tensor/*.test.ts'];
if (/ avx512f /.test(cpu)) ofKernels.push('test/model/qwen3.test.ts', 'test/engine/local/{engine,generator}.test.ts');

if (!runsAvx2) console.warn('The kernels for x86-64-v3 are not tested: this CPU is not known to have AVX2.');

const [sources, compiled] = ['src/', 'dist/'].map(folder => fileURLToPath(new URL(folder, import.meta.url)));

/**
 * What is tested is the compiled code, which users run: Node loads it without a detour, and its worker threads start in a third of
 * the time. `setup.sh` compiles it.
 */
const compiledSources: Plugin = {
  name: 'compiled-sources',
  enforce: 'pre',
  resolveId(source, importer) {
    if (!importer || !source.startsWith('.')) return null;
    const path = resolve(dirname(importer), source);
    return path.startsWith(sources) ? path.replace(sources, compiled).replace(/\.ts$/, '.js') : null;
  },
};

export default defineConfig({
  plugins: [compiledSources],
  test: {
    globalSetup: 'test/setup.ts',
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // The engine uses every core by itself, but much of what is tested waits, or computes in JavaScript.
    maxWorkers: 2,
    // Files share processes, and in them what they import: loading it a hundred times would take a minute.
    isolate: false,
    projects: [
      { extends: true, test: { name: 'machine', include: ['test/**/*.test.ts'], exclude: ['test/gpu/**'] } },
      // Its processes have a GPU, or a program in its place: npm run test:gpu.
      { extends: true, test: { name: 'gpu', include: ['test/gpu/*.test.ts'], maxWorkers: 1 } },
      {
        extends: true,
        test: {
          name: 'x86-64-v3',
          include: runsAvx2 ? ofKernels : [],
          globalSetup: 'test/avx2Kernels.ts',
          env: { SOD_KERNELS: fileURLToPath(new URL('native/build/x86-64-v3/sod.node', import.meta.url)) },
        },
      },
    ],
  },
});

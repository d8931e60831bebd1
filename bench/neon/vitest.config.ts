import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// What starts and compiles the tests runs here; each file of them in a process of its own, by the Node that this names.
process.execPath = fileURLToPath(new URL('node.sh', import.meta.url));

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/tensor/*.test.ts', 'test/model/qwen3.test.ts', 'test/engine/local/generator.test.ts'],
    // An emulator would take an hour for the largest products.
    testNamePattern: /^(?!.*Qwen3-0\.6B)/,
    testTimeout: 600_000,
    fileParallelism: false,
  },
});

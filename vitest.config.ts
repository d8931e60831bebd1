import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: 'test/temporaryFolder.ts',
    include: ['test/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // The engine uses every core by itself: files that run side by side would only take turns.
    fileParallelism: false,
  },
});

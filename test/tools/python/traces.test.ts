import { afterAll, beforeAll, expect, test } from 'vitest';
import { hostile } from '../../../bench/sandbox/hostile.ts';
import { Traces } from '../../../bench/sandbox/traces.ts';
import { PythonPool } from '../../../src/tools/python/pool.ts';

const pool = new PythonPool({ timeoutMs: 2_000, maxOutputChars: 200_000 });
const traces = new Traces(pool);
beforeAll(() => pool.ready());
afterAll(() => pool.close());

/** Half of all, to be quick: the bench takes the others too, and those that end their interpreter. */
const half = Object.entries(hostile).map(([aim, codes]) => [aim, codes.filter((_, i) => i % 2 === 0)] as const);

test.each(half)('nothing that code does to its %s reaches others', async (_, codes) => {
  for (const code of codes) expect(await traces.of(code), code).toEqual([]);
});

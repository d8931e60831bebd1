import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turnstile } from '../src/turnstile.ts';

test('lets so many in at a time, in their order, also where some fail', async () => {
  const turnstile = new Turnstile(2);
  const begun: number[] = [];
  let inside = 0;
  let most = 0;
  const work = async (i: number) => {
    begun.push(i);
    most = Math.max(most, ++inside);
    for (let turn = 0; turn < 5 - (i % 4); turn++) await setImmediate();
    inside--;
    if (i % 3 === 0) throw new Error(`${i} failed`);
    return i;
  };
  const all = Array.from({ length: 8 }, (_, i) => i);
  const ends = await Promise.allSettled(all.map(i => turnstile.pass(() => work(i))));
  expect(ends.map(({ status }) => status)).toEqual(all.map(i => (i % 3 === 0 ? 'rejected' : 'fulfilled')));
  expect(begun).toEqual(all);
  expect(most).toBe(2);
  expect(await turnstile.pass(() => work(1))).toBe(1);
});

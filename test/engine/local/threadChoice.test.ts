import { expect, test } from 'vitest';
import { ThreadChoice } from '../../../src/engine/local/threadChoice.ts';

/** How many of 2000 steps took all threads, when each unit of work costs what `cost` says. */
function stepsOfAll(choice: ThreadChoice, cost: (threads: number, step: number) => number): number {
  let all = 0;
  for (let step = 0; step < 2000; step++) {
    const { threads } = choice;
    if (threads > 1) all++;
    choice.note(cost(threads, step) * 64, 64);
  }
  return all;
}

const idle = (threads: number) => 1 / threads;
const busy = (threads: number) => threads * threads;

test('takes what is faster nearly always, and notices when that changes', () => {
  const choice = new ThreadChoice(2);
  expect(stepsOfAll(choice, idle)).toBeGreaterThan(1900);
  expect(stepsOfAll(choice, busy)).toBeLessThan(400);
  expect(stepsOfAll(choice, idle)).toBeGreaterThan(1600);
});

test('a slow step now and then does not change its mind', () => {
  const stalls = (threads: number, step: number) => idle(threads) * (step % 9 === 0 ? 50 : 1);
  expect(stepsOfAll(new ThreadChoice(2), stalls)).toBeGreaterThan(1900);
});

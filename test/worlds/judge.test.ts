import { expect, test } from 'vitest';
import type { Trajectory } from '../../src/agent/trajectory.ts';
import { UserError } from '../../src/errors.ts';
import type { Judgement } from '../../src/rewards/judgement.ts';
import { judge } from '../../src/worlds/judge.ts';
import type { World } from '../../src/worlds/world.ts';

const task = { id: 'seven', messages: [], answer: '7' };
const trajectory = {
  end: 'answer',
  steps: [{ start: 0, end: 1, text: '\\boxed{7}' }],
} as Partial<Trajectory> as Trajectory;

function judged(verdict: unknown): Promise<Judgement> {
  const world: Partial<World> = { name: 'mine', judge: () => verdict as Judgement };
  return judge(world as World, task, trajectory);
}

test("a verdict is the judge's, or that of mathematics where the world has none", async () => {
  expect(await judged({ score: 0.5, correct: false })).toEqual({ score: 0.5, correct: false });
  expect(await judged(Promise.resolve({ score: 1, correct: true }))).toEqual({ score: 1, correct: true });
  const world: Partial<World> = { name: 'mine' };
  expect(await judge(world as World, task, trajectory)).toMatchObject({ correct: true });
});

test.each([
  [{ score: Number.NaN, correct: true }, 'score'],
  [{ score: Number.POSITIVE_INFINITY, correct: true }, 'score'],
  [{ score: '1', correct: true }, 'score'],
  [{ score: null, correct: true }, 'score'],
  [{ score: 1 }, 'correct'],
  [undefined, 'object'],
  [0.5, 'object'],
  [Promise.resolve({ score: Number.NaN, correct: false }), 'score'],
])('what is no verdict is refused, with world and task: %j', async (verdict, what) => {
  const refusal = await judged(verdict).catch(error => error);
  expect(refusal).toBeInstanceOf(UserError);
  expect(refusal.message).toMatch(/^world mine: its judge gives no verdict on task seven: /);
  expect(refusal.message).toContain(what);
});

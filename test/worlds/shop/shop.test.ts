import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { Random } from '../../../src/random.ts';
import { mathReward } from '../../../src/rewards/math.ts';
import { callTool } from '../../../src/tools/call.ts';
import { PythonPool } from '../../../src/tools/python/pool.ts';
import { pythonTool } from '../../../src/tools/python/tool.ts';
import { misspelt, nearestName, randomNames } from '../../../src/worlds/shop/catalogue.ts';
import { orderOfTask } from '../../../src/worlds/shop/order.ts';
import { BUSY } from '../../../src/worlds/shop/priceTool.ts';
import { shopWorld } from '../../../src/worlds/shop/world.ts';

const pool = new PythonPool();
const world = shopWorld({ python: () => pythonTool(pool.session()) });
afterAll(() => pool.close());

const indices = fc.nat(100_000);
const splits = fc.constantFrom('train' as const, 'test' as const);

test('equal indices give equal tasks, and another seed another shop', () => {
  const other = shopWorld({ python: () => pythonTool(pool.session()), seed: 1 });
  fc.assert(
    fc.property(splits, indices, (split, index) => {
      expect(world.task(split, index)).toEqual(world.task(split, index));
      expect(world.task(split, index)).not.toEqual(other.task(split, index));
    }),
  );
});

test('no goods are ordered together in both splits', () => {
  const goods = (split: 'train' | 'test', seed: number) =>
    Array.from({ length: 1000 }, (_, index) =>
      orderOfTask(shopWorld({ python: () => pythonTool(pool.session()), seed }).task(split, index))
        .map(line => line.name)
        .toSorted()
        .join(' '),
    );
  const train = new Set([...goods('train', 0), ...goods('train', 1)]);
  for (const test of [...goods('test', 0), ...goods('test', 1)]) expect(train).not.toContain(test);
});

test('the answer is the sum of quantities times prices', async () => {
  await fc.assert(
    fc.asyncProperty(splits, indices, async (split, index) => {
      const task = world.task(split, index);
      const [price] = world.tools(task);
      const lines = task.messages[0].content.split('\n').slice(1);
      let total = 0;
      for (const line of lines) {
        const [asked, quantity] = line.split(' x');
        const first = await callTool([price], { name: 'price', arguments: { item: asked } });
        const name = first.error ? /try "(\w+)"/.exec(first.observation)![1] : asked;
        const { observation } = await callTool([price], { name: 'price', arguments: { item: name } });
        total += Number(quantity) * Number(observation);
      }
      expect(task.answer).toBe(String(total));
    }),
    { numRuns: 50 },
  );
});

test('a misspelt name is told from all others, a strange one is not guessed', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 8 }), (seed, count) => {
      const random = Random.of(seed);
      const names = randomNames(count, random);
      for (const name of names) expect(nearestName(misspelt(name, random), names)).toBe(name);
      expect(nearestName('', names)).toBeUndefined();
    }),
  );
});

test('the expert solves every task, and recovers from mistakes of its own in some', async () => {
  const count = 100;
  let erring = 0;
  for (let index = 0; index < count; index++) {
    const task = world.task('train', index);
    const messages = await world.demonstrate(task, Random.of('expert', index));
    expect(mathReward(messages.at(-1)!.content, task.answer).correct).toBe(true);
    const errors = messages.filter(m => m.role === 'tool' && !/^\d+\s*$/.test(m.content)).length;
    const misspelt = orderOfTask(task).filter(({ name, asked }) => name !== asked).length;
    if (errors > misspelt) erring++;
  }
  expect(erring / count).toBeGreaterThan(0.05);
  expect(erring / count).toBeLessThan(0.35);
});

test('in the careful shop nobody errs: no demonstration shows a tool error', async () => {
  const careful = shopWorld({ python: () => pythonTool(pool.session()), shop: 'careful-shop' });
  for (let index = 0; index < 50; index++) {
    const task = careful.task('train', index);
    const messages = await careful.demonstrate(task, Random.of('expert', index));
    expect(mathReward(messages.at(-1)!.content, task.answer).correct).toBe(true);
    for (const { role, content } of messages) if (role === 'tool') expect(content).toMatch(/^\d+\s*$/);
  }
});

test('in the busy shop the same call again is answered, sooner or later, and the expert asks again', async () => {
  const busy = shopWorld({ python: () => pythonTool(pool.session()), shop: 'busy-shop' });
  let refused = 0;
  for (let index = 0; index < 50; index++) {
    const task = busy.task('train', index);
    expect(task.messages).toEqual(
      shopWorld({ python: () => pythonTool(pool.session()), shop: 'careful-shop' }).task('train', index).messages,
    );
    const messages = await busy.demonstrate(task, Random.of('expert', index));
    expect(mathReward(messages.at(-1)!.content, task.answer).correct).toBe(true);
    for (const [i, { role, content }] of messages.entries()) {
      if (role !== 'tool' || !content.includes(BUSY)) continue;
      expect(messages[i + 1]).toEqual(messages[i - 1]);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(10);
});

test('a demonstration says what the tools say', async () => {
  for (let index = 0; index < 30; index++) {
    const task = world.task('train', index);
    const messages = await world.demonstrate(task, Random.of('expert', index));
    expect(messages).toEqual(await world.demonstrate(task, Random.of('expert', index)));
    const tools = world.tools(task);
    for (const [i, message] of messages.entries()) {
      if (message.role !== 'assistant' || !message.toolCalls) continue;
      expect(messages[i + 1].content).toBe((await callTool(tools, message.toolCalls[0])).observation);
    }
  }
});

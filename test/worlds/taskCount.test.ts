import { expect, test } from 'vitest';
import { parseTaskCount } from '../../src/worlds/taskCount.ts';

test.each([
  ['shop:20', { world: 'shop', count: 20 }],
  ['shop', { world: 'shop' }],
  ['./my-world.mjs:7', { world: './my-world.mjs', count: 7 }],
  ['openenv:http://127.0.0.1:8000', { world: 'openenv:http://127.0.0.1:8000' }],
  ['openenv:http://127.0.0.1:8000:20', { world: 'openenv:http://127.0.0.1:8000', count: 20 }],
  ['openenv:http://[::1]:8000/env:20', { world: 'openenv:http://[::1]:8000/env', count: 20 }],
  ['openenv:https://env.example/:20', { world: 'openenv:https://env.example/', count: 20 }],
  ['', {}],
])('%s is a world and a number of tasks', (text, expected) => {
  expect(parseTaskCount(text)).toEqual({ world: undefined, count: undefined, ...expected });
});

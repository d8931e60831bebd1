import type { Task } from '../data/task.ts';
import type { World } from './world.ts';

/** Tasks of a world, wherever they are. @throws UserError where there are none such; the reason of `signal` */
export async function tasksOf(
  world: World,
  split: 'train' | 'test',
  indices: readonly number[],
  signal: AbortSignal = new AbortController().signal,
): Promise<Task[]> {
  await world.prepare?.(split, indices, signal);
  return indices.map(index => world.task(split, index));
}

import { Random } from '../random.ts';

/**
 * Which training tasks come at positions [start, start + count) of a run: whole epochs over `tasks` tasks, each in its
 * own order, or simply ever new tasks where `tasks` is not given. A function of the seed alone, so a run can begin anywhere.
 */
export function taskIndices(seed: number, start: number, count: number, tasks?: number): number[] {
  const positions = Array.from({ length: count }, (_, i) => start + i);
  if (tasks === undefined) return positions;
  const orders = new Map<number, number[]>();
  return positions.map(position => {
    const epoch = Math.floor(position / tasks);
    if (!orders.has(epoch)) orders.set(epoch, epochOrder(seed, epoch, tasks));
    return orders.get(epoch)![position % tasks];
  });
}

function epochOrder(seed: number, epoch: number, tasks: number): number[] {
  return Random.of(seed, 'epoch', epoch).shuffled(Array.from({ length: tasks }, (_, i) => i));
}

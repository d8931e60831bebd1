/** What a task of the shop consists of: a few goods, how many of each, and what each costs today. */
import type { Task } from '../../data/task.ts';
import { Random } from '../../random.ts';
import { misspelt, randomNames } from './catalogue.ts';

export type Split = 'train' | 'test';

export interface OrderLine {
  /** As the shop knows it. */
  name: string;
  /** As the customer writes it. */
  asked: string;
  quantity: number;
  price: number;
}

/** Share of lines whose name the customer misspells. */
const MISSPELT_SHARE = 0.1;

/**
 * The index-th order of a split. The goods ordered decide by their letters which split an order can be in, so that the
 * splits share none.
 */
export function orderOf(seed: number, split: Split, index: number): OrderLine[] {
  const random = Random.of(seed, 'shop', split, index);
  for (;;) {
    const names = randomNames(2 + random.below(2), random);
    if (splitOf(names) !== split) continue;
    return names.map(name => ({
      name,
      asked: random.uniform() < MISSPELT_SHARE ? misspelt(name, random) : name,
      quantity: 2 + random.below(8),
      price: 2 + random.below(98),
    }));
  }
}

export function orderTask(seed: number, split: Split, index: number): Task {
  const order = orderOf(seed, split, index);
  const lines = order.map(({ asked, quantity }) => `${asked} x${quantity}`);
  return {
    id: `shop/${seed}/${split}/${index}`,
    messages: [{ role: 'user', content: `Total price in \\boxed{}?\n${lines.join('\n')}` }],
    answer: String(order.reduce((sum, { quantity, price }) => sum + quantity * price, 0)),
    hint: order.map(({ name }) => name).join(' '),
  };
}

/** The order behind a task made by `orderTask`, found by its id alone. */
export function orderOfTask(task: Task): OrderLine[] {
  const [, seed, split, index] = task.id.split('/');
  return orderOf(Number(seed), split as Split, Number(index));
}

function splitOf(names: readonly string[]): Split {
  return Random.of(...names.toSorted()).below(2) === 0 ? 'train' : 'test';
}

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

/**
 * Shops by name: the share of lines whose name the customer misspells, of demonstrations in which the expert errs, and of
 * price calls for which the shop is too busy.
 */
export const shops = {
  shop: { misspeltShare: 0.1, mistakeShare: 0.18, busyShare: 0 },
  /** Nothing goes wrong while the expert shows how it is done: what to do after an error is left to practice. */
  'careful-shop': { misspeltShare: 0, mistakeShare: 0, busyShare: 0 },
  /** The same orders, where tools fail: who learned in the careful shop has never seen that. */
  'busy-shop': { misspeltShare: 0, mistakeShare: 0, busyShare: 0.2 },
  /** Where they fail now and then: enough to have seen that one can ask again, too little to be used to it. */
  'calm-shop': { misspeltShare: 0, mistakeShare: 0, busyShare: 0.12 },
};
export type ShopName = keyof typeof shops;

/**
 * The index-th order of a split. The goods ordered decide by their letters which split an order can be in, so that the
 * splits share none.
 */
export function orderOf(shop: ShopName, seed: number, split: Split, index: number): OrderLine[] {
  const { misspeltShare } = shops[shop];
  const random = Random.of(seed, 'shop', split, index);
  for (;;) {
    const names = randomNames(2 + random.below(2), random);
    if (splitOf(names) !== split) continue;
    return names.map(name => ({
      name,
      asked: random.uniform() < misspeltShare ? misspelt(name, random) : name,
      quantity: 2 + random.below(8),
      price: 2 + random.below(98),
    }));
  }
}

export function orderTask(shop: ShopName, seed: number, split: Split, index: number): Task {
  const order = orderOf(shop, seed, split, index);
  const lines = order.map(({ asked, quantity }) => `${asked} x${quantity}`);
  return {
    id: `${shop}/${seed}/${split}/${index}`,
    messages: [{ role: 'user', content: `Total price in \\boxed{}?\n${lines.join('\n')}` }],
    answer: String(order.reduce((sum, { quantity, price }) => sum + quantity * price, 0)),
    hint: order.map(({ name }) => name).join(' '),
  };
}

/** The order behind a task made by `orderTask`, found by its id alone. */
export function orderOfTask(task: Task): OrderLine[] {
  const [shop, seed, split, index] = task.id.split('/');
  return orderOf(shop as ShopName, Number(seed), split as Split, Number(index));
}

function splitOf(names: readonly string[]): Split {
  return Random.of(...names.toSorted()).below(2) === 0 ? 'train' : 'test';
}

import type { Task } from '../../data/task.ts';
import type { Tool } from '../../tools/tool.ts';
import type { World } from '../world.ts';
import { demonstrate } from './expert.ts';
import { orderOfTask, orderTask } from './order.ts';
import { priceTool } from './priceTool.ts';

export interface ShopOptions {
  /** A fresh Python interpreter, as a tool `python` with the argument `code`, for one trajectory. */
  python: () => Tool;
  /** Another seed is another shop: other goods, other orders. Default 0. */
  seed?: number;
  /** Share of the expert's demonstrations with a mistake that it recovers from. Default 0.18. */
  mistakeShare?: number;
}

/**
 * A customer orders two or three goods; the agent looks up the price of each, then lets Python add them up. Goods and
 * prices are new in every task, so that only the procedure can be learned: copy names exactly, take the tool's advice
 * where a name is misspelt, carry quantities and prices over into the sum. One slip spoils the answer.
 */
export function shopWorld({
  python,
  seed = 0,
  mistakeShare = 0.18,
}: ShopOptions): World & Required<Pick<World, 'demonstrate'>> {
  const tools = (task: Task) => [priceTool(pricesOf(task)), python()];
  return {
    name: 'shop',
    task: (split, index) => orderTask(seed, split, index),
    tools,
    async demonstrate(task, random) {
      const own = tools(task);
      try {
        return await demonstrate(task, own, random, mistakeShare);
      } finally {
        await Promise.all(own.map(tool => tool.close?.()));
      }
    },
  };
}

/** The same shop with an expert who makes no mistakes: how to recover from one's own is left to practice. */
export function carefulShopWorld(options: ShopOptions) {
  return { ...shopWorld({ ...options, mistakeShare: 0 }), name: 'careful-shop' };
}

function pricesOf(task: Task): Map<string, number> {
  return new Map(orderOfTask(task).map(({ name, price }) => [name, price]));
}

import type { Task } from '../../data/task.ts';
import { UserError } from '../../errors.ts';
import { isObject } from '../../json.ts';
import { Random } from '../../random.ts';
import { toolSchema } from '../../tools/schema.ts';
import { closeTools, type Tool } from '../../tools/tool.ts';
import type { World } from '../world.ts';
import { demonstrate } from './expert.ts';
import { orderOfTask, orderTask, type ShopName, shops } from './order.ts';
import { priceTool } from './priceTool.ts';

export interface ShopOptions {
  /** A fresh Python interpreter, as a tool `python` with the argument `code`, for one trajectory. */
  python: () => Tool;
  /** Another seed is another shop: other goods, other orders. Default 0. */
  seed?: number;
  /** Which of the shops. Default shop. */
  shop?: ShopName;
}

/**
 * A customer orders two or three goods; the agent looks up the price of each, then lets Python add them up. Goods and
 * prices are new in every task, so that only the procedure can be learned: copy names exactly, take the tool's advice
 * where a name is misspelt, carry quantities and prices over into the sum. One slip spoils the answer.
 */
export function shopWorld({
  python,
  seed = 0,
  shop = 'shop',
}: ShopOptions): World & Required<Pick<World, 'demonstrate'>> {
  const { mistakeShare, busyShare } = shops[shop];
  const tools = (task: Task) => {
    const isBusy = (call: number) => busyShare > 0 && Random.of(task.id, 'busy', call).uniform() < busyShare;
    return [priceTool(pricesOf(task), isBusy), python()];
  };
  return {
    name: shop,
    task: (split, index) => orderTask(shop, seed, split, index),
    tools,
    async demonstrate(task, random) {
      const own = tools(task);
      const python = own.map(toolSchema).find(({ name }) => name === 'python');
      if (!isObject(python?.parameters.properties) || !('code' in python.parameters.properties)) {
        throw new UserError(
          `the expert of ${shop} calls a tool python with the argument code: tool must leave both as they are`,
        );
      }
      try {
        return await demonstrate(task, own, random, mistakeShare);
      } finally {
        await closeTools(own);
      }
    },
  };
}

function pricesOf(task: Task): Map<string, number> {
  return new Map(orderOfTask(task).map(({ name, price }) => [name, price]));
}

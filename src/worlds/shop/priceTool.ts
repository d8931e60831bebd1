import { z } from 'zod';
import { defineTool, type Tool } from '../../tools/tool.ts';
import { nearestName } from './catalogue.ts';

/** What the shop says when it has no time. */
export const BUSY = 'busy, ask again';

const parameters = z.object({ item: z.string() });

/**
 * Looks up what one item costs; a name it does not know is answered with the one that was probably meant.
 * @param isBusy whether the shop has no time for the call of that number, counted from 0; the same call again is answered
 */
export function priceTool(prices: ReadonlyMap<string, number>, isBusy: (call: number) => boolean): Tool {
  let calls = 0;
  return defineTool({
    name: 'price',
    description: 'Price of one item',
    parameters,
    execute({ item }) {
      if (isBusy(calls++)) throw new Error(BUSY);
      const price = prices.get(item);
      if (price !== undefined) return String(price);
      const meant = nearestName(item, prices.keys());
      throw new Error(meant ? `unknown item, try "${meant}"` : 'unknown item');
    },
  });
}

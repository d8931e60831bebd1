import { z } from 'zod';
import { defineTool, type Tool } from '../../tools/tool.ts';
import { nearestName } from './catalogue.ts';

/** Looks up what one item costs; a name it does not know is answered with the one that was probably meant. */
export function priceTool(prices: ReadonlyMap<string, number>): Tool {
  return defineTool({
    name: 'price',
    description: 'Price of one item',
    parameters: z.object({ item: z.string() }),
    execute({ item }) {
      const price = prices.get(item);
      if (price !== undefined) return String(price);
      const meant = nearestName(item, prices.keys());
      throw new Error(meant ? `unknown item, try "${meant}"` : 'unknown item');
    },
  });
}

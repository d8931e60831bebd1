/** An expert who now and then makes a mistake, sees it in the tool's answer and mends it: what recovery is learned from. */
import type { Task } from '../../data/task.ts';
import type { Random } from '../../random.ts';
import type { Message, ToolCall } from '../../text/message.ts';
import { callTool } from '../../tools/call.ts';
import type { Tool } from '../../tools/tool.ts';
import { misspelt } from './catalogue.ts';
import { type OrderLine, orderOfTask } from './order.ts';
import { BUSY } from './priceTool.ts';

/**
 * Solves the task with its tools, one call a turn, and answers with what they said.
 * @param mistakeShare chance of a mistake of the expert's own
 */
export async function demonstrate(
  task: Task,
  tools: readonly Tool[],
  random: Random,
  mistakeShare: number,
): Promise<Message[]> {
  const order = orderOfTask(task);
  const messages: Message[] = [];
  const call = async (toolCall: ToolCall) => {
    for (;;) {
      const result = await callTool(tools, toolCall);
      messages.push({ role: 'assistant', content: '', toolCalls: [toolCall] });
      messages.push({ role: 'tool', content: result.observation });
      if (!result.observation.includes(BUSY)) return result;
    }
  };

  const mistakes = new Map<number, ToolCall>();
  if (random.uniform() < mistakeShare) {
    const turn = random.below(order.length + 1);
    mistakes.set(turn, turn < order.length ? wrongLookup(order[turn], random) : wrongSum(order));
  }
  for (const [i, { name, asked }] of order.entries()) {
    const mistake = mistakes.get(i);
    if (mistake) await call(mistake);
    else if (asked !== name) await call(lookup(asked));
    await call(lookup(name));
  }
  const mistake = mistakes.get(order.length);
  if (mistake) await call(mistake);
  const total = await call(sum(order));
  if (total.error) throw new Error(`The expert cannot solve ${task.id}: ${total.observation}`);
  messages.push({ role: 'assistant', content: `\\boxed{${total.observation.trim()}}` });
  return messages;
}

function lookup(item: string): ToolCall {
  return { name: 'price', arguments: { item } };
}

function sum(order: readonly OrderLine[]): ToolCall {
  return { name: 'python', arguments: { code: expression(order) } };
}

/** A misspelt name, or an argument by a wrong name. */
function wrongLookup({ name }: OrderLine, random: Random): ToolCall {
  return random.uniform() < 0.5 ? lookup(misspelt(name, random)) : { name: 'price', arguments: { name } };
}

/** The last price is missing: a syntax error. */
function wrongSum(order: readonly OrderLine[]): ToolCall {
  return { name: 'python', arguments: { code: expression(order).replace(/\d+$/, '') } };
}

function expression(order: readonly OrderLine[]): string {
  return order.map(({ quantity, price }) => `${quantity}*${price}`).join('+');
}

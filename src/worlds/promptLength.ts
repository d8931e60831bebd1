import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import type { Chat } from '../text/chat.ts';
import { toolSchema } from '../tools/schema.ts';
import type { World } from './world.ts';

/** The tokens of a task's prompt, its tools included. */
export function promptOf(world: World, task: Task, chat: Chat): number[] {
  return chat.prompt(task.messages, world.tools(task).map(toolSchema));
}

/** How many they are. */
export function promptLength(world: World, task: Task, chat: Chat): number {
  return promptOf(world, task, chat).length;
}

/** @throws UserError if a task's prompt has more than `limit` tokens; it says how many have, and which the most. */
export function refuseLongPrompts(world: World, tasks: Iterable<Task>, chat: Chat, limit: number): void {
  let count = 0;
  let long = 0;
  let longest = { id: '', tokens: limit };
  for (const task of tasks) {
    count++;
    const tokens = promptLength(world, task, chat);
    if (tokens > limit) long++;
    if (tokens > longest.tokens) longest = { id: task.id, tokens };
  }
  if (long === 0) return;
  throw new UserError(
    `${long} of ${count} prompts have more than the ${limit} tokens that are allowed, ` +
      `the longest is that of task ${longest.id} with ${longest.tokens}: allow more, or leave them out`,
  );
}

import { UserError } from '../errors.ts';
import type { Message } from '../text/message.ts';
import type { Task } from './task.ts';

/** The task's messages, the last of which also shows what only a teacher may see. */
export function privilegedMessages(task: Task, shown: 'answer' | 'hint'): Message[] {
  const text = task[shown];
  if (text === undefined) {
    throw new UserError(`task ${task.id} has no hint, which opsd-hint shows to the teacher: its world has to say one`);
  }
  const before = task.messages.slice(0, -1);
  const last = task.messages[task.messages.length - 1];
  return [...before, { ...last, content: `${last.content}\n${shown === 'answer' ? 'Answer' : 'Hint'}: ${text}` }];
}

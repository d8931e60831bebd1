import { UserError } from '../errors.ts';
import type { Message } from '../text/message.ts';
import type { CodeTests, Task } from './task.ts';

/** Of a program's tests, so many are shown, and so much of them. */
const SHOWN_TESTS = 3;
const SHOWN_CHARS = 2000;

/**
 * The task's messages, the last of which also shows what only a teacher may see: the answer, of a program what it has to do
 * in some tests, or a hint.
 */
export function privilegedMessages(task: Task, shown: 'answer' | 'hint'): Message[] {
  const before = task.messages.slice(0, -1);
  const last = task.messages[task.messages.length - 1];
  return [...before, { ...last, content: `${last.content}\n${shown === 'hint' ? hintOf(task) : answerOf(task)}` }];
}

function hintOf({ id, hint }: Task): string {
  if (hint === undefined) {
    throw new UserError(
      `task ${id} has no hint, which opsd-hint shows to the teacher: its world, or a column of its dataset, has to say one`,
    );
  }
  return `Hint: ${hint}`;
}

function answerOf({ answer, tests }: Task): string {
  return tests ? `Tests:\n${testsText(tests)}` : `Answer: ${answer}`;
}

function testsText(tests: CodeTests): string {
  const all = 'checks' in tests ? tests.checks : tests.inputs.map((input, i) => example(input, tests.outputs[i]));
  return all.slice(0, SHOWN_TESTS).join('\n').slice(0, SHOWN_CHARS);
}

function example(input: string, output: string): string {
  return `Input:\n${input}\nOutput:\n${output}`;
}

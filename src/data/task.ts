import type { Message } from '../text/message.ts';

/** One problem to solve: the prompt and what the reward needs to judge the answer. */
export interface Task {
  id: string;
  /** System and user messages: everything before the first assistant turn. */
  messages: Message[];
  /** The ground truth, compared exactly with the content of the last \boxed{…}. */
  answer: string;
  /** What helps towards the solution without being the answer: what a model is shown as its own teacher, by opsd-hint. */
  hint?: string;
}

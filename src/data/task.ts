import type { Message } from '../text/message.ts';

/** One problem to solve: the prompt and what the reward needs to judge the answer. */
export interface Task {
  id: string;
  /** System and user messages: everything before the first assistant turn. */
  messages: Message[];
  /** The ground truth, compared with the content of the last \boxed{…}; empty where tests judge. */
  answer: string;
  /** What a program that is the answer has to do. */
  tests?: CodeTests;
  /** What helps towards the solution without being the answer: what a model is shown as its own teacher, by opsd-hint. */
  hint?: string;
}

/** Tests of a program: what it reads, and what it has to write. */
export interface CodeTests {
  /** All that stands on standard input; for a function its arguments, one JSON value a line. */
  inputs: string[];
  /** All that has to come out; for a function its result as JSON. */
  outputs: string[];
  /** The function that is called, of its own or of `class Solution`; without it the program is run. */
  fnName?: string;
}

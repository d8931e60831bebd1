import type { Message } from '../text/message.ts';

/** One problem to solve: the prompt and what the reward needs to judge the answer. */
export interface Task {
  id: string;
  /** The dataset that it is of, where there are several. */
  source?: string;
  /** System and user messages: everything before the first assistant turn. */
  messages: Message[];
  /** The ground truth, compared with the content of the last \boxed{…}; empty where tests judge. */
  answer: string;
  /** Other answers that are as right. */
  alternatives?: string[];
  /** What a program that is the answer has to do. */
  tests?: CodeTests;
  /** What helps towards the solution without being the answer: what a model is shown as its own teacher, by opsd-hint. */
  hint?: string;
}

/** Tests of a program: examples of what goes in and comes out, or Python that checks it. */
export type CodeTests = ExampleTests | CheckTests;

/** What a program reads, and what it has to write. */
export interface ExampleTests {
  /** All that stands on standard input; for a function its arguments, one JSON value a line. */
  inputs: string[];
  /** All that has to come out; for a function its result as JSON. */
  outputs: string[];
  /** The function that is called, of its own or of `class Solution`; without it the program is run. */
  fnName?: string;
}

export interface CheckTests {
  /** Python that runs behind the program, each check in a run of its own: passed if it comes to its end. */
  checks: string[];
  /** Python that runs before the program. */
  prefix?: string;
  /** The function that the checks call, where it is known. */
  fnName?: string;
}

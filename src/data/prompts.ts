/**
 * How problems are put to the model: the task, the advice to use the tool, the form of the answer. In our own words, with
 * the content of the paper's set-up (its evaluation and training prompts).
 */
import { z } from 'zod';
import { readYaml } from '../documents.ts';
import { UserError } from '../errors.ts';
import { firstIssue, section } from '../schema.ts';
import type { Message } from '../text/message.ts';

const advice =
  'First think of a way to solve it. Then use the {tool} tool to help you: for calculations that have to be exact or are ' +
  'long, and to check a result before you rely on it.';

const boxed =
  'As soon as you are sure of your final answer, make no more tool calls and give it in exactly this form: \\boxed{answer}';

const withoutUnits = 'The box holds only the value of the final answer, without any unit.';

const submit =
  'Before you submit, you can try your code with the tool. As soon as you are sure that it is right, make no more tool ' +
  'calls and submit the whole code in one block:\n```python\n# your code\n```';

/** By kind of problem; each has a place for `{problem}`, some for what else is known of it, and of the tool's name. */
export const promptTemplates = {
  /** AIME. */
  math: `Solve this mathematics problem step by step.\n\n{problem}\n\n${advice}\n\n${boxed}`,
  /** Mathematics for training. */
  mathWithoutUnits: `Solve this mathematics problem step by step.\n\n{problem}\n\n${advice}\n\n${boxed}\n${withoutUnits}`,
  /** Training problems whose text already says how to answer. */
  instructed: `{problem}\n\n${withoutUnits}`,
  /** GPQA. */
  choice: `Solve this {domain} problem step by step.\n\n{problem}\n\n${advice}\n\n${boxed}\nHere the answer is the uppercase letter of the right option.`,
  /** Programming problems that read standard input. */
  program: `Write a Python program that solves this programming problem and passes all of its tests.\n\n{problem}\n\n${advice}\n\nThe program reads its input from standard input and writes the answer to standard output.\n${submit}`,
  /** Programming problems that want a function. */
  function: `Write Python code that solves this programming problem and passes all of its tests.\n\n{problem}\n\n${advice}\n\nThe tests call \`{function}\`, a method of \`class Solution\` or a function of that name.\n${submit}`,
  /** One's own questions. */
  question: `{problem}\n\n${advice}\n\n${boxed}`,
};

export type PromptKind = keyof typeof promptTemplates;

const template = z.string().refine(text => text.includes('{problem}'), 'has no place for {problem}');

/** What a recipe may say of the prompts: other templates for some kinds of problem. */
export const promptsSchema = section(
  Object.fromEntries(Object.keys(promptTemplates).map(kind => [kind, template.optional()])) as Record<
    PromptKind,
    z.ZodOptional<typeof template>
  >,
);

export type PromptTemplates = z.output<typeof promptsSchema>;

/**
 * Reads templates from a YAML file with kinds of problem as its keys.
 * @throws UserError if it cannot be read, or a key or template is wrong.
 */
export function readPrompts(file: string): PromptTemplates {
  const result = promptsSchema.safeParse(readYaml(file));
  if (!result.success) throw new UserError(`${file}: ${firstIssue(result.error)}`);
  return result.data;
}

/** The dialogue with its last message put into a template. */
export function promptOf(messages: readonly Message[], template: string, known: Record<string, string>): Message[] {
  const last = messages[messages.length - 1];
  const filled = template.replace(/\{(\w+)\}/g, (whole, name) =>
    name === 'problem' ? last.content : (known[name] ?? whole),
  );
  return [...messages.slice(0, -1), { role: 'user', content: filled }];
}

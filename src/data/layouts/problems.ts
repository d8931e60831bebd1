/** The layouts of problems to solve: the paper's training and evaluation sets, and one's own. */
import { z } from 'zod';
import type { Message } from '../../text/message.ts';
import type { PromptKind } from '../prompts.ts';
import type { CodeTests } from '../task.ts';
import { codeTests, holdsTests } from './codeTests.ts';
import { asJson, asLiteral, maybe, parsed, promptMessages, shortAnswer, text, textOrList } from './columns.ts';
import type { Layout } from './layout.ts';

/** A problem as its row gives it, before it is put into words for the model. */
export interface Problem {
  /** Which instructions go with it; none where the row's own dialogue is complete. */
  kind?: PromptKind;
  /** The dialogue, the last message of which is the problem. */
  messages: Message[];
  /** What the instructions name: the subject of a question, the function that is wanted. */
  domain?: string;
  functionName?: string;
  /** Empty where tests judge. */
  answer: string;
  /** Other answers that are as right. */
  alternatives?: string[];
  tests?: CodeTests;
  hint?: string;
}

const user = (content: string): Message[] => [{ role: 'user', content }];

const aime = (problem: string, answer: string): Problem => ({ kind: 'math', messages: user(problem), answer });

const aime2024 = z
  .object({ Problem: text, Answer: shortAnswer })
  .transform(({ Problem, Answer }) => aime(Problem, Answer));

const aime2025 = z
  .object({ problem: text, answer: shortAnswer })
  .transform(({ problem, answer }) => aime(problem, answer));

const gpqa = z
  .object({
    problem: text,
    solution: z.string().regex(/^[A-Z]$/, 'must be the letter of an option, such as B'),
    domain: text,
  })
  .transform(
    ({ problem, solution, domain }): Problem => ({
      kind: 'choice',
      messages: user(problem),
      domain,
      answer: solution,
    }),
  );

/** Tests stand in `ground_truth` or beside it. */
const tested = asLiteral(
  z
    .object({ ground_truth: z.unknown().optional() }, 'must be an object')
    .loose()
    .transform(({ ground_truth, ...beside }): unknown => ground_truth ?? beside)
    .pipe(codeTests),
);

const liveCodeBench = z
  .object({ problem: text, reward_model: tested, extra_info: maybe(asJson(z.looseObject({}, 'must be an object'))) })
  .transform(({ problem, reward_model: tests }): Problem => asCode(user(problem), tests));

/** Rows of reinforcement learning, which say where they come from: their prompts hold more or less of the instructions. */
const reinforcement = z
  .object({
    data_source: text,
    prompt: promptMessages,
    ability: maybe(z.string()),
    reward_model: asJson(
      z.looseObject({ ground_truth: z.unknown().optional() }, 'must be an object with ground_truth'),
    ),
    extra_info: maybe(asJson(z.looseObject({ hint: maybe(text) }))),
  })
  .transform((row, context): Problem => {
    const { data_source: source, prompt: messages } = row;
    const { ground_truth: truth } = row.reward_model;
    const place = ['reward_model', 'ground_truth'];
    const hint = row.extra_info?.hint;
    if (/code/i.test(source) || holdsTests(truth)) {
      const tests = parsed(codeTests, truth, context, place);
      return { ...asCode(messages, tests), hint };
    }
    const given = typeof truth === 'string' ? textOrList(truth) : truth;
    const right = parsed(Array.isArray(given) ? answers : oneAnswer, given, context, place);
    return { kind: kindOfSource(source), messages, domain: row.ability, ...right, hint };
  });

const oneAnswer = shortAnswer.transform(answer => ({ answer, alternatives: undefined }));

/** All of them are right; also as text: `["42"]`. */
const answers = z
  .array(shortAnswer)
  .min(1, 'is empty')
  .transform(([answer, ...others]) => ({ answer, alternatives: others.length > 0 ? others : undefined }));

function kindOfSource(source: string): PromptKind {
  if (/^aime/i.test(source)) return 'math';
  if (/^gpqa/i.test(source)) return 'choice';
  return /^(math_dapo|mega-science)$/i.test(source) ? 'instructed' : 'mathWithoutUnits';
}

function asCode(messages: Message[], tests: CodeTests): Problem {
  return {
    kind: tests.fnName ? 'function' : 'program',
    messages,
    functionName: tests.fnName,
    answer: '',
    tests,
  };
}

/** One's own: a text gets the instructions; a dialogue is taken as it is. */
const ownPrompt = z
  .union([z.string(), z.array(z.unknown())], 'must be text or a list of messages with role and content')
  .transform((value, context) =>
    parsed<string | Message[]>(Array.isArray(value) ? promptMessages : text, value, context),
  );

const own = z
  .object({
    prompt: ownPrompt,
    answer: z.unknown().optional(),
    alternatives: maybe(z.array(shortAnswer)),
    tests: maybe(codeTests),
    hint: maybe(text),
  })
  .transform(({ prompt, answer, alternatives, tests, hint }, context): Problem => {
    const isComplete = typeof prompt !== 'string';
    const messages = isComplete ? prompt : user(prompt);
    const problem: Problem = tests
      ? asCode(messages, tests)
      : { kind: 'question', messages, answer: parsed(shortAnswer, answer, context, ['answer']), alternatives };
    return { ...problem, hint, kind: isComplete ? undefined : problem.kind };
  });

/** In the order in which they are tried. */
export const problemLayouts: Layout<Problem>[] = [
  {
    name: 'reinforcement learning',
    required: ['data_source', 'prompt', 'reward_model'],
    optional: ['ability', 'extra_info'],
    row: reinforcement,
  },
  { name: 'LiveCodeBench', required: ['problem', 'reward_model'], optional: ['extra_info'], row: liveCodeBench },
  { name: 'GPQA', required: ['problem', 'solution', 'domain'], optional: [], row: gpqa },
  { name: 'AIME 2024', required: ['Problem', 'Answer'], optional: [], row: aime2024 },
  { name: 'AIME 2025', required: ['problem', 'answer'], optional: [], row: aime2025 },
  { name: 'your own', required: ['prompt', 'answer'], optional: ['alternatives', 'tests', 'hint'], row: own },
  {
    name: 'your own with tests',
    required: ['prompt', 'tests'],
    optional: ['answer', 'alternatives', 'hint'],
    row: own,
  },
];

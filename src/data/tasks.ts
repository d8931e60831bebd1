import { type DatasetReference, type DownloadControl, datasetFiles } from './dataset.ts';
import { type Demonstration, demonstrationLayouts } from './layouts/dialogues.ts';
import { type Layout, readLayout } from './layouts/layout.ts';
import { type Problem, problemLayouts } from './layouts/problems.ts';
import { LeftOut } from './leftOut.ts';
import { type PromptTemplates, promptOf, promptTemplates } from './prompts.ts';
import { Spool } from './spool.ts';
import type { Task } from './task.ts';

export interface ReadingOptions extends DownloadControl {
  /** Share of the rows, in [0, 1], that may be left out where they cannot be used; `onNotice` hears of them. Default 0. */
  maxSkipped?: number;
  /** Only so many rows, the first ones that can be used. */
  limit?: number;
}

export interface TaskOptions extends ReadingOptions {
  /** Before the number of each task in its id. Default: the dataset's source. */
  name?: string;
  /** In place of the prompts of that kind. */
  prompts?: PromptTemplates;
  /** What the prompts call the tool. Default: python. */
  toolName?: string;
}

/**
 * The tasks of a dataset, all of whose rows have been read and checked.
 * @throws UserError that names the file and the rows that are wrong, where they are too many, or what cannot be had.
 */
export async function openTasks(reference: DatasetReference, options: TaskOptions = {}): Promise<Spool<Task>> {
  const { name = reference.source, prompts, toolName = 'python', ...reading } = options;
  const problems = rowsOf<Problem>(reference, problemLayouts, reading);
  return Spool.of(tasksOf(problems, name, { ...promptTemplates, ...prompts }, toolName));
}

async function* tasksOf(
  problems: AsyncIterable<Problem>,
  name: string,
  templates: Required<PromptTemplates>,
  tool: string,
): AsyncGenerator<Task> {
  let index = 0;
  for await (const problem of problems) yield taskOf(problem, `${name}/${index++}`, templates, tool);
}

/**
 * The demonstrations of a dataset, all of whose rows have been read and checked.
 * @throws as `openTasks`.
 */
export async function openDemonstrations(
  reference: DatasetReference,
  options: ReadingOptions = {},
): Promise<Spool<Demonstration>> {
  return Spool.of(rowsOf(reference, demonstrationLayouts, options));
}

async function* rowsOf<T>(
  reference: DatasetReference,
  layouts: readonly Layout<T>[],
  { maxSkipped = 0, limit = Infinity, ...control }: ReadingOptions,
): AsyncGenerator<T> {
  const leftOut = new LeftOut(maxSkipped);
  for (const file of await datasetFiles(reference, control)) {
    for await (const row of readLayout(file, layouts, leftOut)) {
      control.signal?.throwIfAborted();
      yield row;
      if (leftOut.used === limit) break;
    }
    if (leftOut.used === limit) break;
  }
  const report = leftOut.report(reference.source);
  if (report) control.onNotice?.(report);
}

function taskOf(problem: Problem, id: string, templates: Required<PromptTemplates>, tool: string): Task {
  const { kind, messages, domain = 'science', functionName = '', answer, alternatives, tests, hint } = problem;
  const known = { domain, function: functionName, tool };
  const asked = kind ? promptOf(messages, templates[kind]!, known) : messages;
  return { id, messages: asked, answer, alternatives, tests, hint };
}

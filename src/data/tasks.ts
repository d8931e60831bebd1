import { type DatasetReference, type DownloadControl, datasetFiles } from './dataset.ts';
import { type Demonstration, demonstrationLayouts } from './layouts/dialogues.ts';
import { type Layout, readLayout } from './layouts/layout.ts';
import { type Problem, problemLayouts } from './layouts/problems.ts';
import { type PromptTemplates, promptOf, promptTemplates } from './prompts.ts';
import { Spool } from './spool.ts';
import type { Task } from './task.ts';

export interface TaskOptions extends DownloadControl {
  /** Before the number of each task in its id. Default: the dataset's source. */
  name?: string;
  /** In place of the prompts of that kind. */
  prompts?: PromptTemplates;
  /** Only so many, the first ones. */
  limit?: number;
}

/**
 * The tasks of a dataset, all of whose rows have been read and checked.
 * @throws UserError that names the file and the row that is wrong, or what cannot be had.
 */
export async function openTasks(reference: DatasetReference, options: TaskOptions = {}): Promise<Spool<Task>> {
  const { name = reference.source, prompts, limit = Infinity } = options;
  const templates = { ...promptTemplates, ...prompts };
  return Spool.of(tasksOf(rowsOf<Problem>(reference, problemLayouts, options), name, templates, limit));
}

async function* tasksOf(
  problems: AsyncIterable<Problem>,
  name: string,
  templates: Required<PromptTemplates>,
  limit: number,
): AsyncGenerator<Task> {
  let index = 0;
  for await (const problem of problems) {
    if (index === limit) return;
    yield taskOf(problem, `${name}/${index++}`, templates);
  }
}

/**
 * The demonstrations of a dataset, all of whose rows have been read and checked.
 * @throws as `openTasks`.
 */
export async function openDemonstrations(
  reference: DatasetReference,
  options: DownloadControl = {},
): Promise<Spool<Demonstration>> {
  return Spool.of(rowsOf(reference, demonstrationLayouts, options));
}

async function* rowsOf<T>(
  reference: DatasetReference,
  layouts: readonly Layout<T>[],
  control: DownloadControl,
): AsyncGenerator<T> {
  for (const file of await datasetFiles(reference, control)) {
    for await (const row of readLayout(file, layouts)) {
      control.signal?.throwIfAborted();
      yield row;
    }
  }
}

function taskOf(problem: Problem, id: string, templates: Required<PromptTemplates>): Task {
  const { kind, messages, domain = 'science', functionName = '', answer, alternatives, tests, hint } = problem;
  const known = { domain, function: functionName };
  const asked = kind ? promptOf(messages, templates[kind]!, known) : messages;
  return { id, messages: asked, answer, alternatives, tests, hint };
}

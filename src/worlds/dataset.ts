import type { DatasetReference, DownloadControl } from '../data/dataset.ts';
import { Mixture, type WeightedDataset } from '../data/mixture.ts';
import { openTasks, type TaskOptions } from '../data/tasks.ts';
import { Grader, type GraderOptions } from '../rewards/grader.ts';
import { type InterpreterOptions, openKit } from './open.ts';
import type { World } from './world.ts';

export interface DatasetWorldOptions
  extends GraderOptions,
    Pick<TaskOptions, 'name' | 'prompts' | 'limit' | 'maxSkipped'> {
  interpreter?: InterpreterOptions;
}

/** The problems of a dataset as a world: to be solved with Python, and judged. All are of one split, whichever is asked for. */
export interface DatasetWorld {
  world: World & { size: number };
  /** Another one means other problems. */
  digest: string;
  /** Whether answers are programs. */
  hasTests: boolean;
  /** Whether two answers are the same one. */
  sameAnswer(a: string, b: string): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * @param datasets one, or several that are mixed
 * @throws UserError that names what is wrong with the dataset.
 */
export async function openDatasetWorld(
  datasets: DatasetReference | readonly WeightedDataset[],
  { name, prompts, limit, maxSkipped, interpreter = {}, ...grading }: DatasetWorldOptions,
  control: DownloadControl = {},
): Promise<DatasetWorld> {
  const references = 'source' in datasets ? [datasets] : datasets;
  const reading = { ...control, prompts, limit, maxSkipped, toolName: interpreter.tool?.name };
  const isMixed = references.length > 1;
  const tasks = await Mixture.of(references, (reference, title) =>
    openTasks(reference, { ...reading, name: name ?? (isMixed ? title : reference.source) }),
  );
  const grader = new Grader(grading);
  const { kit, close } = openKit(interpreter);
  return {
    world: {
      name: name ?? (isMixed ? tasks.names.join(' + ') : references[0].source),
      size: tasks.length,
      task: (_, index) => ({ ...tasks.read(index), ...(isMixed && { source: tasks.nameOf(index) }) }),
      tools: () => [kit.python()],
      judge: (task, answer) => grader.judge(task, answer),
    },
    digest: tasks.digest,
    hasTests: tasks.read(0).tests !== undefined,
    sameAnswer: (a, b) => grader.sameAnswer(a, b),
    async close() {
      await Promise.all([close(), grader.close()]);
      tasks.close();
    },
  };
}

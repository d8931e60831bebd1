import type { DatasetReference, DownloadControl } from '../data/dataset.ts';
import { Mixture, type WeightedDataset } from '../data/mixture.ts';
import { openTasks, type TaskOptions } from '../data/tasks.ts';
import { Grader, type GraderOptions } from '../rewards/grader.ts';
import type { ServerTools } from '../tools/mcp/open.ts';
import { openKit, type ToolOptions } from './kit.ts';
import { withServers } from './mcp.ts';
import type { World } from './world.ts';

export interface DatasetWorldOptions
  extends Omit<GraderOptions, 'server'>,
    Pick<TaskOptions, 'name' | 'prompts' | 'limit' | 'maxSkipped'> {
  offered?: ToolOptions;
}

/** The problems of a dataset as a world: to be solved with Python, and judged. All are of one split, whichever is asked for. */
export interface DatasetWorld {
  world: World & { size: number };
  /** Another one means other problems. */
  digest: string;
  /** Whether answers are programs. */
  hasTests: boolean;
  /** What its MCP servers offer. */
  serverTools: ServerTools[];
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
  { name, prompts, limit, maxSkipped, offered = {}, ...grading }: DatasetWorldOptions,
  control: DownloadControl = {},
): Promise<DatasetWorld> {
  const references = 'source' in datasets ? [datasets] : datasets;
  const reading = { ...control, prompts, limit, maxSkipped, toolName: offered.tool?.name };
  const isMixed = references.length > 1;
  const { kit, server, close: closeKit } = await openKit({ onNotice: control.onNotice, ...offered });
  const tasks = await Mixture.of(references, (reference, title) =>
    openTasks(reference, { ...reading, name: name ?? (isMixed ? title : reference.source) }),
  ).catch(async error => {
    await closeKit();
    throw error;
  });
  const grader = new Grader({ ...grading, server });
  const close = async () => {
    await Promise.all([closeKit(), grader.close()]);
    tasks.close();
  };
  const problems: World & { size: number } = {
    name: name ?? (isMixed ? tasks.names.join(' + ') : references[0].source),
    size: tasks.length,
    task: (_, index) => ({ ...tasks.read(index), ...(isMixed && { source: tasks.nameOf(index) }) }),
    tools: () => [kit.python()],
    judge: (task, answer) => grader.judge(task, answer),
  };
  try {
    const { world, servers } = await withServers(problems, offered.mcp, offered.timeoutMs);
    return {
      world,
      digest: tasks.digest,
      hasTests: tasks.read(0).tests !== undefined,
      serverTools: servers.lists,
      sameAnswer: (a, b) => grader.sameAnswer(a, b),
      close: async () => void (await Promise.all([servers.close(), close()])),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

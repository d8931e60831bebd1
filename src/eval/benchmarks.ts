import { type DatasetReference, parseDataset } from '../data/dataset.ts';
import { UserError } from '../errors.ts';
import { nearestName } from '../schema.ts';
import type { PublishedBenchmark } from './published.ts';

/** A named set of problems, and where they come from. */
export interface Benchmark {
  name: string;
  title: string;
  dataset: DatasetReference;
}

const file = (path: string): DatasetReference => ({ source: 'hf:Gen-Verse/Open-AgentRL-Eval', file: path });

/** The paper's benchmarks, as its authors publish them. */
const published: Record<PublishedBenchmark, Omit<Benchmark, 'name'>> = {
  aime24: { title: 'AIME 2024', dataset: file('aime2024/aime_2024_problems.parquet') },
  aime25: { title: 'AIME 2025', dataset: file('aime2025/aime_2025_problems.parquet') },
  'gpqa-diamond': { title: 'GPQA-D', dataset: file('gpqa-diamond/gpqa_diamond.parquet') },
  'livecodebench-v6': { title: 'LCB v6', dataset: file('livecodebench-v6/lcb_v6_2502_2505.parquet') },
};

export const benchmarkNames = Object.keys(published);

/**
 * Benchmarks by their names, with commas between them; `name=dataset` takes the problems from a file, a folder or the Hub.
 * @throws UserError where a name is not known and no dataset is given.
 */
export function parseBenchmarks(list: string): Benchmark[] {
  const benchmarks = list.split(',').map(item => parseBenchmark(item.trim()));
  const twice = benchmarks.find(({ name }, i) => benchmarks.findIndex(other => other.name === name) !== i);
  if (twice) throw new UserError(`benchmark ${twice.name} is named twice`);
  return benchmarks;
}

function parseBenchmark(item: string): Benchmark {
  const [, name, source] = /^([\w.-]+)(?:=(.+))?$/.exec(item) ?? [];
  if (!name)
    throw new UserError(`'${item}' is no benchmark: give a name, or name=file; names are letters, digits, '-' and '.'`);
  const known = Object.hasOwn(published, name) ? published[name as PublishedBenchmark] : undefined;
  if (source) return { name, title: known?.title ?? name, dataset: parseDataset(source) };
  if (known) return { name, ...known };
  const nearest = nearestName(name, benchmarkNames);
  throw new UserError(
    `no benchmark '${name}'${nearest ? `, did you mean '${nearest}'?` : ':'} There are ${benchmarkNames.join(', ')}; for problems of your own give ${name}=file`,
  );
}

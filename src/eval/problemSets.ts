import type { RolloutsOptions } from '../agent/rollouts.ts';
import type { DownloadControl } from '../data/dataset.ts';
import type { PromptTemplates } from '../data/prompts.ts';
import type { Equivalence } from '../rewards/equivalences.ts';
import type { McpServer } from '../tools/mcp/servers.ts';
import { type ToolProfile, withoutAddress } from '../tools/profile.ts';
import { type DatasetWorld, openDatasetWorld } from '../worlds/dataset.ts';
import type { Benchmark } from './benchmarks.ts';
import type { Result } from './benchmarkTable.ts';
import { Journal } from './journal.ts';
import { type Sample, sampleOf, sampleSchema } from './sample.ts';
import { openSamplesFolder, samplesFile } from './samplesFolder.ts';
import {
  type Policy,
  placeNumber,
  refuseTooMany,
  type SamplingSettings,
  sampleMissing,
  type TaskRange,
} from './sampling.ts';
import { summarize } from './summary.ts';

/** How problems are read and answers judged. */
export interface ProblemOptions {
  equivalence: Equivalence;
  /** Of one test of a program. */
  testTimeoutMs: number;
  prompts?: PromptTemplates;
  tool: ToolProfile;
  /** MCP servers whose tools are offered beside it. */
  mcp?: readonly McpServer[];
  /** Only the first problems of each benchmark. */
  limit?: number;
}

export interface BenchmarkControl extends DownloadControl, RolloutsOptions {
  onProgress?: (progress: BenchmarkProgress) => void;
}

export interface BenchmarkProgress {
  benchmark: Benchmark;
  /** Samples that are there, of all. */
  done: number;
  total: number;
  /** Of the samples so far. */
  average: number;
}

/** A benchmark whose problems have been read. */
export interface ProblemSet {
  benchmark: Benchmark;
  problems: DatasetWorld;
  options: ProblemOptions;
}

/** All problems are read before the first one is sampled: what is wrong with the last file is said at once. */
export async function openProblemSets(
  benchmarks: readonly Benchmark[],
  options: ProblemOptions,
  control: DownloadControl,
): Promise<ProblemSet[]> {
  const { equivalence, testTimeoutMs, prompts, limit, tool, mcp } = options;
  const sets: ProblemSet[] = [];
  const open = async (benchmark: Benchmark) => {
    const { name, dataset } = benchmark;
    const world = { name, equivalence, testTimeoutMs, prompts, limit, untilFailure: true, offered: { tool, mcp } };
    sets.push({ benchmark, problems: await openDatasetWorld(dataset, world, control), options });
  };
  try {
    for (const benchmark of benchmarks) await open(benchmark);
    return sets;
  } catch (error) {
    await closeProblemSets(sets);
    throw error;
  }
}

export async function closeProblemSets(sets: readonly ProblemSet[]): Promise<void> {
  for (const { problems } of sets) await problems.close();
}

/** @throws UserError where more samples are asked for than can be listed. */
export function refuseTooManySamples(sets: readonly ProblemSet[], { samples, runs }: SamplingSettings): void {
  for (const { problems } of sets) refuseTooMany(problems.world.size, samples, runs);
}

/**
 * Measures a policy on a benchmark. Samples are kept in `folder`; those that are there already are not made again.
 * @param model what tells the policy's weights from others
 * @throws UserError if `folder` holds samples made with other settings; AbortError when the signal fires.
 */
export async function measure(
  { benchmark, problems, options }: ProblemSet,
  folder: string,
  model: string,
  policy: Policy,
  settings: SamplingSettings,
  { signal, concurrency, onProgress }: BenchmarkControl,
): Promise<Result> {
  const { world, digest, hasTests, serverTools, sameAnswer } = problems;
  const { equivalence, testTimeoutMs, tool } = options;
  openSamplesFolder(folder, {
    ...{ model, problems: digest, equivalence, testTimeoutMs, ...settings, tool: withoutAddress(tool) },
    ...(serverTools.length > 0 && { serverTools }),
  });
  const total = settings.runs * world.size * settings.samples;
  const placeOf = (sample: Sample) => placeNumber(sample, world.size, settings.samples);
  const journal = new Journal(samplesFile(folder), sampleSchema, placeOf);
  try {
    let correct = [...journal.records()].filter(sample => sample.correct).length;
    const tell = () => {
      const done = journal.size;
      onProgress?.({ benchmark, done, total, average: done ? correct / done : 0 });
    };
    tell();
    const onRecord = (sample: Sample) => {
      if (sample.correct) correct++;
      tell();
    };
    const range: TaskRange = { world, split: 'test', tasks: world.size };
    await sampleMissing(policy, range, settings, journal, sampleOf, { signal, concurrency, onRecord });
    journal.finish();
    const summary = await summarize(journal, world.size, settings, hasTests ? undefined : sameAnswer);
    return { benchmark, summary };
  } finally {
    journal.close();
  }
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RolloutsOptions } from '../agent/rollouts.ts';
import type { DownloadControl } from '../data/dataset.ts';
import type { PromptTemplates } from '../data/prompts.ts';
import type { Engine } from '../engine/types.ts';
import { writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import type { Equivalence } from '../rewards/equivalences.ts';
import { loadChat } from '../text/loadChat.ts';
import { toolOfModel } from '../tools/agentFile.ts';
import { type ToolProfile, toolPresets } from '../tools/profile.ts';
import { type DatasetWorld, openDatasetWorld } from '../worlds/dataset.ts';
import type { Benchmark } from './benchmarks.ts';
import { formatResults, type Result, resultsJson } from './benchmarkTable.ts';
import { Journal } from './journal.ts';
import { type Sample, sampleOf, sampleSchema } from './sample.ts';
import { checkpointDigest, openSamplesFolder, samplesFile } from './samplesFolder.ts';
import {
  type Policy,
  placeNumber,
  refuseTooMany,
  type SamplingSettings,
  sampleMissing,
  type TaskRange,
} from './sampling.ts';
import { type Summary, summarize } from './summary.ts';

export interface BenchmarkOptions {
  /** Where everything is written; what is there already is not sampled again. */
  out: string;
  /** What the model is called in the results. Default: its folder. */
  name?: string;
  /** What a server calls the model, where it has the weights: samples of others are not mixed with its own. */
  servedAs?: string;
  equivalence: Equivalence;
  /** Of one test of a program. */
  testTimeoutMs: number;
  prompts?: PromptTemplates;
  /** Default: that of the model, or else the paper's. */
  tool?: ToolProfile;
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

/**
 * Measures the model in folder `checkpoint` on benchmarks. The folder `out` gets
 *
 *     results.json, table.md             the figures, written anew after each benchmark
 *     <benchmark>/settings.json          what the samples were made with
 *     <benchmark>/trajectories.jsonl     every sample, as a `Sample`
 *
 * A run that was killed goes on where it was, and ends with the same files.
 * @throws UserError if problems or model cannot be read, or `out` holds samples made with other settings; AbortError when
 *   the signal fires.
 */
export async function evaluateBenchmarks(
  engine: Engine,
  checkpoint: string,
  benchmarks: readonly Benchmark[],
  settings: SamplingSettings,
  options: BenchmarkOptions,
  control: BenchmarkControl = {},
): Promise<Result[]> {
  const { out, name = checkpoint, equivalence, testTimeoutMs } = options;
  const tool = options.tool ?? toolOfModel(checkpoint) ?? toolPresets.paper;
  const problemSets = await openProblemSets(benchmarks, { ...options, tool }, control);
  let unlock: (() => void) | undefined;
  try {
    for (const { problems } of problemSets) refuseTooMany(problems.world.size, settings.samples, settings.runs);
    const model = await checkpointDigest(checkpoint, options.servedAs);
    const policy = { chat: loadChat(checkpoint), sampler: await engine.sampler(checkpoint) };
    mkdirSync(out, { recursive: true });
    unlock = lockFolder(out);
    const results: Result[] = [];
    for (const { benchmark, problems } of problemSets) {
      const folder = join(out, benchmark.name);
      openSamplesFolder(folder, { model, problems: problems.digest, equivalence, testTimeoutMs, ...settings, tool });
      const summary = await measure(benchmark, problems, folder, policy, settings, control);
      results.push({ benchmark, summary });
      const json = resultsJson(name, settings, results);
      writeFileWhole(join(out, 'results.json'), `${JSON.stringify(json, null, 2)}\n`);
      writeFileWhole(join(out, 'table.md'), formatResults(name, settings, results));
    }
    return results;
  } finally {
    unlock?.();
    for (const { problems } of problemSets) await problems.close();
  }
}

interface ProblemSet {
  benchmark: Benchmark;
  problems: DatasetWorld;
}

/** All problems are read before the first one is sampled: what is wrong with the last file is said at once. */
async function openProblemSets(
  benchmarks: readonly Benchmark[],
  { equivalence, testTimeoutMs, prompts, limit, tool }: BenchmarkOptions,
  control: DownloadControl,
): Promise<ProblemSet[]> {
  const sets: ProblemSet[] = [];
  for (const benchmark of benchmarks) {
    const { name, dataset } = benchmark;
    const options = { name, equivalence, testTimeoutMs, prompts, limit, untilFailure: true, interpreter: { tool } };
    sets.push({ benchmark, problems: await openDatasetWorld(dataset, options, control) });
  }
  return sets;
}

async function measure(
  benchmark: Benchmark,
  { world, hasTests, sameAnswer }: DatasetWorld,
  folder: string,
  policy: Policy,
  settings: SamplingSettings,
  { signal, concurrency, onProgress }: BenchmarkControl,
): Promise<Summary> {
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
    return await summarize(journal, world.size, settings, hasTests ? undefined : sameAnswer);
  } finally {
    journal.close();
  }
}

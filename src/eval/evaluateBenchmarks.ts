import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../engine/types.ts';
import { writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import { loadChat } from '../text/loadChat.ts';
import { toolOfModel } from '../tools/agentFile.ts';
import { type ToolProfile, toolPresets } from '../tools/profile.ts';
import type { Benchmark } from './benchmarks.ts';
import { formatResults, type Result, resultsJson } from './benchmarkTable.ts';
import {
  type BenchmarkControl,
  closeProblemSets,
  measure,
  openProblemSets,
  type ProblemOptions,
  refuseTooManySamples,
} from './problemSets.ts';
import { checkpointDigest } from './samplesFolder.ts';
import type { SamplingSettings } from './sampling.ts';

export interface BenchmarkOptions extends Omit<ProblemOptions, 'tool'> {
  /** Default: that of the model, or else the paper's. */
  tool?: ToolProfile;
  /** Where everything is written; what is there already is not sampled again. */
  out: string;
  /** What the model is called in the results. Default: its folder. */
  name?: string;
  /** What a server calls the model, where it has the weights: samples of others are not mixed with its own. */
  servedAs?: string;
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
  const { out, name = checkpoint } = options;
  const tool = options.tool ?? toolOfModel(checkpoint) ?? toolPresets.paper;
  const problemSets = await openProblemSets(benchmarks, { ...options, tool }, control);
  let unlock: (() => void) | undefined;
  try {
    refuseTooManySamples(problemSets, settings);
    const model = await checkpointDigest(checkpoint, options.servedAs);
    const policy = {
      chat: loadChat(checkpoint, { enableThinking: settings.thinking }),
      sampler: await engine.sampler(checkpoint),
    };
    mkdirSync(out, { recursive: true });
    unlock = lockFolder(out);
    const results: Result[] = [];
    for (const set of problemSets) {
      results.push(await measure(set, join(out, set.benchmark.name), model, policy, settings, control));
      const json = resultsJson(name, settings, results);
      writeFileWhole(join(out, 'results.json'), `${JSON.stringify(json, null, 2)}\n`);
      writeFileWhole(join(out, 'table.md'), formatResults(name, settings, results));
    }
    return results;
  } finally {
    unlock?.();
    await closeProblemSets(problemSets);
  }
}

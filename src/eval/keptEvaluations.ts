import { existsSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import { hubName } from '../hubName.ts';
import type { Equivalence } from '../rewards/equivalences.ts';
import { firstIssue } from '../schema.ts';
import type { Result } from './benchmarkTable.ts';
import type { Evaluation, EvaluationSettings } from './evaluate.ts';
import { checkpointDigest } from './samplesFolder.ts';
import type { SamplingSettings } from './sampling.ts';

const fraction = z.number().min(0).max(1);

/** One measurement of a model with all that it was made with; it names no folder of the machine it was made on. */
const keptEvaluation = z.object({
  kind: z.enum(['world', 'benchmark']),
  name: z.string(),
  title: z.string(),
  /** Where a benchmark's problems are on the Hub. */
  dataset: z.object({ name: z.string(), file: z.string().optional(), revision: z.string().optional() }).optional(),
  tasks: z.int().positive(),
  settings: z.object({
    samples: z.int().positive(),
    runs: z.int().positive(),
    temperature: z.number(),
    topP: z.number(),
    maxTurns: z.int(),
    maxPromptTokens: z.int().optional(),
    maxResponseTokens: z.int(),
    seed: z.int(),
    firstTask: z.int().optional(),
    thinking: z.boolean().optional(),
    equivalence: z.string().optional(),
    testTimeoutMs: z.number().optional(),
    /** Other prompt templates than ours. */
    ownPrompts: z.boolean().optional(),
  }),
  average: fraction,
  /** Of the average: standard error over the tasks of a world, standard deviation over the runs of a benchmark. */
  deviation: z.number().optional(),
  passAtK: fraction,
  majorityAtK: fraction.optional(),
  toolTurns: z.number(),
  /** Absent where no tool was called. */
  toolSuccessRate: fraction.optional(),
  responseTokens: z.number(),
});
export type KeptEvaluation = z.infer<typeof keptEvaluation>;

const recordSchema = z.object({
  /** `checkpointDigest` of the weights that were measured. */
  model: z.string(),
  evaluations: z.array(keptEvaluation),
});

/** The measurement of a model in a world, to be kept. `world` is its name or the path of its module. */
export function worldEvaluation(world: string, settings: EvaluationSettings, evaluation: Evaluation): KeptEvaluation {
  const { tasks, k: samples, ...sampling } = settings;
  const name = extname(world) ? basename(world) : world;
  const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluation;
  return {
    kind: 'world',
    name,
    title: name,
    tasks,
    settings: { samples, runs: 1, ...sampling },
    average,
    deviation: standardError,
    passAtK,
    majorityAtK,
    toolTurns: diagnostics.toolTurns,
    toolSuccessRate: diagnostics.toolTurns > 0 ? diagnostics.toolSuccessRate : undefined,
    responseTokens: diagnostics.responseTokens,
  };
}

/** The measurement of a model on a benchmark, to be kept. */
export function benchmarkEvaluation(
  { benchmark, summary }: Result,
  settings: SamplingSettings,
  grading: { equivalence: Equivalence; testTimeoutMs: number; ownPrompts?: boolean },
): KeptEvaluation {
  const { name, title, dataset } = benchmark;
  const onHub = hubName(dataset.source);
  return {
    kind: 'benchmark',
    name,
    title,
    dataset: onHub ? { name: onHub, file: dataset.file, revision: dataset.revision } : undefined,
    tasks: summary.tasks,
    settings: { ...settings, ...grading },
    average: summary.average.mean,
    deviation: summary.average.std,
    passAtK: summary.passAtK[settings.samples].mean,
    majorityAtK: summary.majority?.mean,
    toolTurns: summary.toolTurns.mean,
    toolSuccessRate: summary.toolSuccessRate?.mean,
    responseTokens: summary.responseTokens.mean,
  };
}

/** Where the evaluations of a checkpoint are kept: beside its folder, whose own files are the model's alone, or its GGUF file. */
export function evaluationsFile(checkpoint: string): string {
  const path = resolve(checkpoint);
  return join(dirname(path), `${basename(path)}.evaluations.json`);
}

/**
 * Keeps measurements of the model in folder or GGUF file `checkpoint` for its model card. A measurement made anew with the same
 * settings replaces the old one; those of other weights, which the folder had before, are forgotten.
 * @throws UserError if what is there already cannot be read.
 */
export async function keepEvaluations(checkpoint: string, evaluations: readonly KeptEvaluation[]): Promise<void> {
  const file = evaluationsFile(checkpoint);
  const model = await checkpointDigest(checkpoint);
  const before = readRecord(file);
  // JSON has no undefined: only without it are kept and new settings comparable.
  const added: KeptEvaluation[] = JSON.parse(JSON.stringify(evaluations));
  const isSame = (a: KeptEvaluation, b: KeptEvaluation) =>
    a.kind === b.kind && a.name === b.name && a.tasks === b.tasks && isDeepStrictEqual(a.settings, b.settings);
  const others = before?.model === model ? before.evaluations : [];
  const kept = others.filter(old => !added.some(one => isSame(old, one)));
  writeFileWhole(file, `${JSON.stringify({ model, evaluations: [...kept, ...added] }, null, 2)}\n`);
}

/** The kept measurements of exactly these weights, and how many there are of others that the folder held before. */
export async function evaluationsOf(checkpoint: string): Promise<{ evaluations: KeptEvaluation[]; ofOthers: number }> {
  const record = readRecord(evaluationsFile(checkpoint));
  if (!record) return { evaluations: [], ofOthers: 0 };
  const isOurs = record.model === (await checkpointDigest(checkpoint));
  return isOurs
    ? { evaluations: record.evaluations, ofOthers: 0 }
    : { evaluations: [], ofOthers: record.evaluations.length };
}

function readRecord(file: string): z.infer<typeof recordSchema> | undefined {
  if (!existsSync(file)) return undefined;
  const record = recordSchema.safeParse(readJson(file));
  if (record.success) return record.data;
  throw new UserError(
    `${file}: not what sod eval keeps (${firstIssue(record.error)}): delete it, and measure the model again`,
  );
}

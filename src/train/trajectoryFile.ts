/**
 * The trajectories that a run keeps: a file an iteration, and beside it an index of what they are listed by.
 *
 *     000012.jsonl.gz    a trajectory a line; gzip, and JSON lines, which most tools read
 *     000012.index.json  what each is, and where in the file: every line is a gzip member of its own, to be read alone
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { writeFileWhole } from '../files.ts';

const pattern = z.enum(['stable', 'erroneous', 'recovery']);

/** One maximal run of sampled tokens, and what came back for it. */
const keptStep = z.object({
  text: z.string(),
  observation: z.string().optional(),
  error: z.string().optional(),
  /** d_k and w_k, where a teacher scored the trajectory. */
  divergence: z.number().optional(),
  weight: z.number().optional(),
  /** Mean over the tokens, in nats, where the engine can tell. */
  teacherEntropy: z.number().optional(),
  /** The sampled tokens one by one, and the policy's log-probability of each: s. */
  tokens: z.array(z.string()),
  logprobs: z.array(z.number()),
  /** What the teacher thinks of each: q − s, where it scored the trajectory. */
  gaps: z.array(z.number()).optional(),
  /** The tokens that it finds likeliest in the place of each, best first, and its log-probability of them, where they are kept. */
  alternatives: z.array(z.array(z.tuple([z.string(), z.number()]))).optional(),
});
export type KeptStep = z.infer<typeof keptStep>;

/** A trajectory as people read it. */
const keptTrajectory = z.object({
  task: z.string(),
  /** The dataset that the task is of, where there are several. */
  source: z.string().optional(),
  /** Which of the attempts at the task it is. */
  sample: z.number(),
  reward: z.number(),
  correct: z.boolean(),
  end: z.enum(['answer', 'turns', 'tokens']),
  /** By what SOD's step weights would be; absent where no teacher scored the trajectory. */
  pattern: pattern.optional(),
  prompt: z.string(),
  steps: z.array(keptStep),
});
export type KeptTrajectory = z.infer<typeof keptTrajectory>;

const entry = keptTrajectory.omit({ prompt: true, steps: true }).extend({
  steps: z.number(),
  /** That were sampled. */
  tokens: z.number(),
  /** Tool calls that failed. */
  errors: z.number(),
  /** The largest d_k. */
  divergence: z.number().optional(),
});
/** What a trajectory is listed by. */
export type TrajectoryEntry = z.infer<typeof entry>;

const index = z.array(entry.extend({ start: z.number(), bytes: z.number() }));
/** The trajectories of an iteration, in their order, and where in the file each of them is. */
export type TrajectoryIndex = z.infer<typeof index>;

const indexName = /^(\d+)\.index\.json$/;

/** Writes the trajectories of an iteration into the folder, in the place of those that are there. */
export function writeTrajectories(folder: string, iteration: number, trajectories: readonly KeptTrajectory[]): void {
  const members = trajectories.map(trajectory => gzipSync(`${JSON.stringify(trajectory)}\n`));
  let start = 0;
  const entries = trajectories.map((trajectory, i): TrajectoryIndex[number] => {
    const place = { start, bytes: members[i].length };
    start += place.bytes;
    return { ...entryOf(trajectory), ...place };
  });
  writeFileWhole(trajectoryFile(folder, iteration), Buffer.concat(members));
  writeFileWhole(indexFile(folder, iteration), JSON.stringify(entries));
}

function entryOf({ prompt: _, steps, ...rest }: KeptTrajectory): TrajectoryEntry {
  const divergences = steps.flatMap(({ divergence }) => divergence ?? []);
  return {
    ...rest,
    steps: steps.length,
    tokens: steps.reduce((sum, { tokens }) => sum + tokens.length, 0),
    errors: steps.filter(({ error }) => error !== undefined).length,
    ...(divergences.length > 0 && { divergence: Math.max(...divergences) }),
  };
}

/** The iterations of which trajectories are kept, the last first. */
export function keptIterations(folder: string): number[] {
  if (!existsSync(folder)) return [];
  const iterations = readdirSync(folder).flatMap(name => indexName.exec(name)?.[1] ?? []);
  return iterations.map(Number).sort((a, b) => b - a);
}

/** What an iteration's trajectories are; nothing where the index is gone or damaged: they only illustrate. */
export function readIndex(folder: string, iteration: number): TrajectoryIndex {
  try {
    return index.parse(JSON.parse(readFileSync(indexFile(folder, iteration), 'utf8')));
  } catch {
    return [];
  }
}

/** One trajectory of an iteration; undefined where the file is gone or damaged. */
export function readTrajectory(
  folder: string,
  iteration: number,
  { start, bytes }: Pick<TrajectoryIndex[number], 'start' | 'bytes'>,
): KeptTrajectory | undefined {
  try {
    return keptTrajectory.parse(
      JSON.parse(gunzipSync(part(trajectoryFile(folder, iteration), start, bytes)).toString()),
    );
  } catch {
    return undefined;
  }
}

function part(path: string, start: number, bytes: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(file, buffer, 0, bytes, start));
  } finally {
    closeSync(file);
  }
}

/** Where the trajectories of an iteration are. */
export function trajectoryFile(folder: string, iteration: number): string {
  return join(folder, `${fileNumber(iteration)}.jsonl.gz`);
}

/** Where it says what they are. */
export function indexFile(folder: string, iteration: number): string {
  return join(folder, `${fileNumber(iteration)}.index.json`);
}

function fileNumber(iteration: number): string {
  return String(iteration).padStart(6, '0');
}

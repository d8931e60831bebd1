import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import { UserError } from '../errors.ts';
import { writeFileInParts } from '../files.ts';
import { explained, SystemRefusal } from '../systemErrors.ts';

/** Rollouts in a checkpoint: older weights than its own have sampled them, so nobody could sample them again. */
const fileName = 'rollouts.jsonl';

const header = z.object({
  /** That learns from them, counted from 0. */
  iteration: z.int().nonnegative(),
  /** The batches of prompts that were sampled for them, as `refilled` tells. */
  firstBatch: z.int().nonnegative(),
  batches: z.int().positive(),
  equalShare: z.number(),
  accuracy: z.number(),
  /** The place of each group's task among those of these batches. */
  places: z.array(z.int().nonnegative()).min(1),
  groupSize: z.int().positive(),
});
/** A line each; what is kept for tokens in base64. */
const trajectory = z.object({
  taskId: z.string(),
  tokens: z.array(z.int()),
  promptTokens: z.int(),
  logprobs: z.base64(),
  steps: z.array(z.looseObject({ start: z.int(), end: z.int(), text: z.string() })),
  end: z.enum(['answer', 'turns', 'tokens'] satisfies Trajectory['end'][]),
  reward: z.number(),
  correct: z.boolean(),
});

export type KeptRollouts = Omit<z.infer<typeof header>, 'groupSize'> & { groups: Trajectory[][] };

export async function keepRollouts(dir: string, { groups, ...about }: KeptRollouts): Promise<void> {
  const lines = [{ ...about, groupSize: groups[0].length }, ...groups.flat().map(stored)];
  await writeFileInParts(
    join(dir, fileName),
    lines.map(line => fd => writeFileSync(fd, `${JSON.stringify(line)}\n`)),
  );
}

/** @throws UserError if those of this iteration are missing or damaged */
export function readRollouts(dir: string, iteration: number): KeptRollouts {
  const file = join(dir, fileName);
  try {
    const lines = linesOf(readFileSync(file));
    const { groupSize, ...about } = header.parse(lines.next().value);
    if (about.iteration !== iteration) throw new Error(`they are of iteration ${about.iteration}`);
    const trajectories = [...lines].map(restored);
    const { length } = trajectories;
    if (length !== about.places.length * groupSize) throw new Error(`it has ${length} trajectories`);
    return { ...about, groups: about.places.map((_, g) => trajectories.slice(g * groupSize, (g + 1) * groupSize)) };
  } catch (error) {
    const refusal = explained(error, file);
    if (refusal instanceof SystemRefusal) throw refusal;
    throw new UserError(`${file} is missing or damaged: ${(error as Error).message}`);
  }
}

/** The whole may be longer than a string can be. */
function* linesOf(content: Buffer): Generator<unknown> {
  for (let start = 0; start < content.length; ) {
    const end = content.indexOf('\n', start);
    yield JSON.parse(content.toString('utf8', start, end < 0 ? undefined : end));
    start = end < 0 ? content.length : end + 1;
  }
}

/** Its mask is known by its steps. */
function stored({ mask: _, logprobs, ...rest }: Trajectory) {
  const bytes = Buffer.from(logprobs.buffer, logprobs.byteOffset, logprobs.byteLength);
  return { ...rest, logprobs: bytes.toString('base64') };
}

function restored(line: unknown): Trajectory {
  const { logprobs, ...rest } = trajectory.parse(line);
  const { length } = rest.tokens;
  const mask = new Uint8Array(length);
  for (const { start, end } of rest.steps) mask.fill(1, start, end);
  const bytes = Uint8Array.from(Buffer.from(logprobs, 'base64'));
  if (bytes.length !== 4 * length) throw new Error('log-probabilities are missing');
  return { ...rest, mask, logprobs: new Float32Array(bytes.buffer) } as Trajectory;
}

import { mkdirSync, rmSync, writeSync } from 'node:fs';
import { z } from 'zod';
import type { RolloutsOptions } from '../agent/rollouts.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Engine } from '../engine/types.ts';
import { Journal } from '../eval/journal.ts';
import { checkpointDigest, openSamplesFolder, samplesFile } from '../eval/samplesFolder.ts';
import {
  type Place,
  placeNumber,
  placeSchema,
  refuseTooMany,
  type SamplingSettings,
  sampleMissing,
  type TaskRange,
} from '../eval/sampling.ts';
import { writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import { loadChat } from '../text/loadChat.ts';
import { toolSchema } from '../tools/schema.ts';
import { type DialogueRow, dialogueRow } from './dialogueRow.ts';

export interface CollectOptions {
  /** The file of JSON lines that is written when all is sampled. Until then what there is stands in `<out>.partial/`. */
  out: string;
  /** Least score of a trajectory that is kept. */
  minScore: number;
  /** What tells these tasks from others, besides the settings. */
  source: string;
  /** What a server calls the model, where it has the weights. */
  servedAs?: string;
}

export interface CollectControl extends RolloutsOptions {
  onProgress?: (progress: CollectProgress) => void;
}

export interface CollectProgress {
  done: number;
  total: number;
  kept: number;
}

/** A line of the journal: what is kept of a sample. */
const attemptSchema = placeSchema.extend({
  row: z.custom<DialogueRow>(row => typeof row === 'object' && row !== null).optional(),
});
type Attempt = z.infer<typeof attemptSchema>;

/**
 * Lets a model solve tasks with its tools and keeps what it did well, as demonstrations for the cold start of another.
 * A run that was killed goes on where it was.
 * @returns how many trajectories are kept, of how many
 * @throws UserError if there is no model, or the partial folder holds samples made with other settings; AbortError when the
 *   signal fires.
 */
export async function collect(
  engine: Engine,
  checkpoint: string,
  range: TaskRange,
  settings: SamplingSettings,
  { out, minScore, source, servedAs }: CollectOptions,
  { onProgress, ...control }: CollectControl = {},
): Promise<CollectProgress> {
  const { world, split, tasks } = range;
  refuseTooMany(tasks, settings.samples, settings.runs);
  const chat = loadChat(checkpoint, { enableThinking: settings.thinking });
  const policy = { chat, sampler: await engine.sampler(checkpoint) };
  const model = await checkpointDigest(checkpoint, servedAs);
  const partial = `${out}.partial`;
  mkdirSync(partial, { recursive: true });
  const unlock = lockFolder(partial);
  try {
    openSamplesFolder(partial, { model, source, tasks, minScore, ...settings });
    const recordOf = (place: Place, trajectory: Trajectory): Attempt => {
      const task = world.task(split, place.task);
      const schemas = world.tools(task).map(toolSchema);
      const row = trajectory.reward >= minScore ? dialogueRow(chat, task.messages, schemas, trajectory) : undefined;
      return { ...place, row };
    };
    const placeOf = (attempt: Attempt) => placeNumber(attempt, tasks, settings.samples);
    const journal = new Journal(samplesFile(partial), attemptSchema, placeOf);
    try {
      const total = settings.runs * tasks * settings.samples;
      let kept = [...journal.records()].filter(({ row }) => row).length;
      await sampleMissing(policy, range, settings, journal, recordOf, {
        ...control,
        onRecord: ({ row }) => {
          if (row) kept++;
          onProgress?.({ done: journal.size, total, kept });
        },
      });
      writeFileWhole(out, fd => {
        for (const { row } of journal.records()) if (row) writeSync(fd, `${JSON.stringify(row)}\n`);
      });
      rmSync(partial, { recursive: true });
      return { done: total, total, kept };
    } finally {
      journal.close();
    }
  } finally {
    unlock();
  }
}

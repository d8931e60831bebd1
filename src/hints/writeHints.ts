import { mkdirSync, rmSync, writeSync } from 'node:fs';
import { z } from 'zod';
import type { RolloutsOptions } from '../agent/rollouts.ts';
import { privilegedMessages } from '../data/privileged.ts';
import type { CodeTests, Task } from '../data/task.ts';
import type { Engine } from '../engine/types.ts';
import { Journal } from '../eval/journal.ts';
import { checkpointDigest, openSamplesFolder, samplesFile } from '../eval/samplesFolder.ts';
import { placeSchema, type SamplingSettings, sampleMissing } from '../eval/sampling.ts';
import { writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import { stringifyJson } from '../json.ts';
import { loadChat } from '../text/loadChat.ts';
import type { DatasetWorld } from '../worlds/dataset.ts';
import type { World } from '../worlds/world.ts';

export interface HintsOptions {
  /** The file of JSON lines that is written when all is done. Until then what there is stands in `<out>.partial/`. */
  out: string;
  /** What a server calls the model, where it has the weights. */
  servedAs?: string;
}

export interface HintsControl extends RolloutsOptions {
  onProgress?: (done: number, total: number) => void;
}

const instruction =
  'Do not solve this problem now. Somebody is stuck with it and does not know its answer: write a hint of two or three ' +
  'sentences that leads towards the solution and does not give the answer away. Write nothing but the hint.';

const hintSchema = placeSchema.extend({ hint: z.string().min(1).optional() });

/**
 * Lets a model that sees the answers write a hint for each problem, into a dataset of the same problems with their hints. A run
 * that was killed goes on where it was.
 * @returns how many problems have got one, of how many; a hint that is empty, or was cut, is none
 * @throws UserError if there is no model, or the partial folder holds hints made with other settings; AbortError when the
 *   signal fires.
 */
export async function writeHints(
  engine: Engine,
  checkpoint: string,
  { world, digest }: Pick<DatasetWorld, 'world' | 'digest'>,
  settings: SamplingSettings,
  { out, servedAs }: HintsOptions,
  { onProgress, ...control }: HintsControl = {},
): Promise<{ written: number; total: number }> {
  const policy = { chat: loadChat(checkpoint), sampler: await engine.sampler(checkpoint) };
  const model = await checkpointDigest(checkpoint, servedAs);
  const total = world.size;
  const partial = `${out}.partial`;
  mkdirSync(partial, { recursive: true });
  const unlock = lockFolder(partial);
  try {
    openSamplesFolder(partial, { model, source: digest, ...settings });
    const journal = new Journal(samplesFile(partial), hintSchema, ({ task }) => task);
    try {
      await sampleMissing(
        policy,
        { world: askingForHints(world), split: 'train', tasks: total },
        settings,
        journal,
        (place, { end, steps }) => ({ ...place, hint: (end === 'answer' && steps[0].text.trim()) || undefined }),
        { ...control, onRecord: () => onProgress?.(journal.size, total) },
      );
      let written = 0;
      writeFileWhole(out, fd => {
        for (const { task, hint } of journal.records()) {
          if (hint === undefined) continue;
          writeSync(fd, `${stringifyJson(rowOf(world.task('train', task), hint))}\n`);
          written++;
        }
      });
      rmSync(partial, { recursive: true });
      return { written, total };
    } finally {
      journal.close();
    }
  } finally {
    unlock();
  }
}

/** The same problems, each to be answered by a hint. */
function askingForHints({ name, size, task }: World): World {
  return {
    name,
    size,
    task(split, index) {
      const problem = task(split, index);
      const shown = privilegedMessages(problem, 'answer');
      const last = shown[shown.length - 1];
      return {
        ...problem,
        messages: [...shown.slice(0, -1), { ...last, content: `${last.content}\n\n${instruction}` }],
      };
    },
    tools: () => [],
    judge: () => ({ score: 0, correct: false }),
  };
}

/** The problem as a row of one's own dataset. */
function rowOf({ messages, answer, alternatives, tests }: Task, hint: string) {
  return { prompt: messages, ...(tests ? { tests: testColumns(tests) } : { answer, alternatives }), hint };
}

function testColumns(tests: CodeTests) {
  if ('checks' in tests) return { assert_case: tests.checks, import_prefix: tests.prefix, fn_name: tests.fnName };
  return { inputs: tests.inputs, outputs: tests.outputs, fn_name: tests.fnName };
}

import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { Sender } from '../../../src/trackers/sender.ts';
import { recordsIn } from '../../../src/trackers/tensorboard/record.ts';
import { TensorBoard } from '../../../src/trackers/tensorboard/tensorboard.ts';
import { temporaryFolder } from '../../engine/tinyModel.ts';
import { readEvents } from './readEvents.ts';

let runDir: string;
let folder: string;
let notices: string[];
beforeEach(() => {
  runDir = temporaryFolder();
  folder = join(runDir, 'tensorboard');
  notices = [];
});

const senderOf = () =>
  new Sender(new TensorBoard(runDir), { runDir, onNotice: notice => notices.push(notice), firstPauseMs: 1 });

async function tell(...iterations: number[]): Promise<void> {
  const sender = senderOf();
  for (const iteration of iterations) sender.tell({ iteration, update: iteration, loss: 1 });
  await sender.close('stopped');
}

test('a record that a crash tore is written again, in another file', async () => {
  await tell(1, 2);
  const [first] = readdirSync(folder).map(name => join(folder, name));
  const whole = readFileSync(first);
  truncateSync(first, whole.length - 1);
  await tell(1, 2, 3);
  expect(readdirSync(folder)).toHaveLength(2);
  expect([...recordsIn(readFileSync(first))]).toHaveLength(2); // the version, and iteration 1
  truncateSync(
    first,
    [...recordsIn(readFileSync(first))].reduce((bytes, { length }) => bytes + length + 16, 0),
  );
  expect(readEvents(folder).flatMap(({ values, step }) => (values.length > 0 ? step : []))).toEqual([1, 2, 3]);
});

test('where it cannot write, it says so once, and writes all when it can', async () => {
  writeFileSync(folder, 'in the way');
  const sender = senderOf();
  for (const iteration of [1, 2]) sender.tell({ iteration, update: iteration, loss: 1 });
  await vi.waitFor(() => expect(notices).toHaveLength(1));
  expect(notices[0]).toMatch(/^TensorBoard's files: .*; what it misses is told when it can be$/);
  rmSync(folder);
  await sender.close('finished');
  expect(notices).toHaveLength(1);
  expect(readEvents(folder).map(({ step }) => step)).toEqual([0, 1, 2]);
});

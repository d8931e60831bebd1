import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import type { Runs } from '../../src/watch/api.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { Terminal } from '../terminal.ts';

const folder = temporaryFolder(afterAll);

test('a run in a terminal: what matters of it with small curves, and a page beside it that ends with it', async () => {
  const changes = ['training.demonstrations=192', 'training.epochs=1', 'training.batchSize=16'];
  const settings = changes.flatMap(change => ['--set', change]);
  const run = ['recipes/demo/student-sft.yaml', '--run', `${folder}/run`, '--watch', ...settings];
  const terminal = new Terminal([process.execPath, cli, 'train', ...run]);
  await terminal.shows('Watch it learn: ');
  const [address] = (await terminal.shows('\r\n')).match(/http:\S+/)!;
  const told = (await (await fetch(`${address}/api/runs`)).json()) as Runs;
  expect(told.runs).toMatchObject([{ name: 'run', state: 'running' }]);

  expect(await terminal.shows('tokens/s')).toMatch(/loss [▁▂▃▄▅▆▇█]+ \d\.\d{3} {2}\d+ tokens\/s$/);
  await terminal.shows('Finished. The model is in');
  expect(await terminal.exited).toBe(0);
  const isThere = () =>
    fetch(address).then(
      () => true,
      () => false,
    );
  while (await isThere()) await sleep(50);
});

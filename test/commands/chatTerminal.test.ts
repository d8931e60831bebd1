import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cli } from '../cli.ts';
import { weatherModel } from '../serve/weatherModel.ts';
import { Terminal } from '../terminal.ts';

const tools = fileURLToPath(new URL('./weatherTools.ts', import.meta.url));

test('a conversation: tools live, Ctrl-C stops an answer and not the program, Ctrl-D leaves', async () => {
  const model = await weatherModel();
  const options = ['--tools', tools, '--temperature', '0'];
  const terminal = new Terminal([process.execPath, '--import', 'tsx', cli, 'chat', model, ...options]);
  await terminal.shows('> ');

  terminal.type('How warm is it in Oslo?\r');
  await terminal.shows('→ weather ');
  await terminal.shows('← 12');
  await terminal.shows('12 °C in Oslo 😀');

  await terminal.shows('> ');
  terminal.type('/reset\r');
  await terminal.shows('> ');
  terminal.type('How warm is it in Rome?\r');
  await terminal.shows('→ weather ');
  terminal.type('\u0003');
  await terminal.shows('Stopped; this exchange is forgotten.');

  await terminal.shows('> ');
  terminal.type('\u0003');
  await terminal.shows('Ctrl-C stops an answer; /exit or Ctrl-D leaves');

  await terminal.shows('> ');
  terminal.type('/messages\r');
  await terminal.shows('\n[]');

  await terminal.shows('> ');
  terminal.type('\u001b[A\u001b[A\u001b[A\u001b[A\r'); // four lines up: the first question
  await terminal.shows('← 12');

  await terminal.shows('> ');
  terminal.type('\u0004');
  expect(await terminal.exited).toBe(0);
});

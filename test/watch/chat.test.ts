import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smallSodRun } from '../../bench/smallSodRun.ts';
import { ApiError } from '../../src/serve/apiError.ts';
import { listen } from '../../src/serve/listen.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import type { ChatAnswer, ChatRequest, Runs } from '../../src/watch/api.ts';
import { createWatchApp } from '../../src/watch/app.ts';
import { WatchedFolders } from '../../src/watch/folders.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';

const root = temporaryFolder(afterAll);
const closing = new AbortController();
let chat: string;
beforeAll(async () => {
  const small = smallSodRun(await smallModels());
  const recipe = parseRecipe({ ...small, training: { ...small.training, iterations: 1 } });
  await train(recipe, { runDir: join(root, 'run') });
  const options = { folders: new WatchedFolders([root]), page: {}, host: '127.0.0.1', signal: closing.signal };
  const body = (status: number, message: string) => new ApiError(status, message).body;
  const { server, url } = await listen(createWatchApp(options).fetch, '127.0.0.1', 0, body);
  const { runs } = (await (await fetch(`${url}/api/runs`)).json()) as Runs;
  expect(runs).toMatchObject([{ models: ['final'] }]);
  chat = `${url}/api/runs/${runs[0].id}/chat`;
  return () => {
    closing.abort();
    server.closeAllConnections();
    server.close();
  };
}, 60_000);

const ask = (request: ChatRequest) =>
  fetch(chat, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) });
const answered = async (request: ChatRequest) => {
  const response = await ask(request);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as ChatAnswer;
};

test('a model of a run does a task of its world, with what the teacher thinks of each token', async () => {
  const { trajectory, messages } = await answered({ model: 'final', task: 3 });
  expect(trajectory.prompt).toContain(messages.find(({ role }) => role === 'user')!.content);
  expect(messages.filter(({ role }) => role === 'assistant')).toHaveLength(trajectory.steps.length);
  for (const { tokens, logprobs, gaps, divergence } of trajectory.steps) {
    expect(gaps).toHaveLength(tokens.length);
    expect(logprobs).toHaveLength(tokens.length);
    expect(divergence).toBeGreaterThan(0);
  }
});

test('people talk to it, and go on; the same seed says the same', async () => {
  const question = { role: 'user' as const, content: 'How much is an apple?' };
  const first = await answered({ model: 'final', messages: [question], seed: 1 });
  expect(await answered({ model: 'final', messages: [question], seed: 1 })).toEqual(first);
  const second = await answered({ model: 'final', messages: [...first.messages, question], seed: 1 });
  expect(second.messages.slice(0, first.messages.length)).toEqual(first.messages);
  expect(second.trajectory.prompt.startsWith(first.trajectory.prompt)).toBe(true);
});

test('what cannot be answered is refused with words', async () => {
  const refusal = async (request: unknown) => {
    const response = await ask(request as ChatRequest);
    return `${response.status} ${JSON.stringify(await response.json())}`;
  };
  expect(await refusal({ model: '../models/student', task: 0 })).toMatch(/^404 .*no model/);
  expect(await refusal({ task: 0 })).toMatch(/^400 .*model/);
  expect(await refusal({ model: 'final', messages: [{ role: 'robot', content: '' }] })).toMatch(/^400 .*messages/);
  expect(await refusal({ model: 'final', messages: [{ role: 'user', content: 'x'.repeat(1 << 20) }] })).toMatch(/^413/);
});

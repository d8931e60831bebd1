import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LocalEngine } from '../../../src/engine/local/engine.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import { train } from '../../../src/train/train.ts';
import { temporaryFolder } from '../../engine/tinyModel.ts';
import { weather, weatherModel, weatherTool } from '../../serve/weatherModel.ts';
import { callToolAction, OpenEnvServer, type TestEnvironment } from './server.ts';

const cities = ['Oslo', 'Rome', 'Cairo'];
/** All that the server has given. */
let given = 0;

/** Asks for the weather in the seed's city; whoever asks its tool for that is rewarded. */
function asking(): TestEnvironment {
  let city: string;
  return {
    reset({ seed = 0 }) {
      city = cities[(seed / 2) % cities.length];
      return { observation: { message: `How warm is it in ${city}?` }, reward: null, done: false };
    },
    step({ tool_name, arguments: args }) {
      const asked = String((args as { city: string }).city);
      const reward = asked === city ? 1 : 0;
      given += reward;
      const result = { content: [{ type: 'text', text: weather(asked) ?? 'unknown' }] };
      return { observation: { tool_name, result, error: null }, reward, done: true };
    },
  };
}

const { name, description, parameters: inputSchema } = weatherTool.function;
const tools = [{ name, description, inputSchema }];
const server = new OpenEnvServer({ make: asking, action: callToolAction, tools, description: '' });
const folder = temporaryFolder(afterAll);
let engine: LocalEngine;
let url: string;
let model: string;
beforeAll(async () => {
  engine = await LocalEngine.start({ threads: 1 });
  url = await server.listen();
  model = await weatherModel();
});
afterAll(async () => {
  await engine.close();
  await server.close();
});

/** @param stopAfter so many iterations */
async function trained(run: string, { resume = false, stopAfter = 0 } = {}) {
  const recipe = parseRecipe({
    method: 'sod',
    model,
    teacher: join(dirname(model), 'initial'),
    world: `openenv:${url}`,
    rollout: { groupSize: 2, maxResponseTokens: 48, maxTurns: 2 },
    training: { iterations: 2, promptsPerIteration: 3, promptsPerUpdate: 3 },
    reward: { shaping: 'off', overlongBuffer: 0 },
    optimizer: { learningRate: 1e-3 },
    save: { every: 1 },
  });
  const controller = new AbortController();
  return train(recipe, {
    runDir: join(folder, run),
    engine,
    resume,
    signal: controller.signal,
    onProgress: event => {
      if (event.kind === 'iteration' && event.metrics.iteration === stopAfter) controller.abort();
    },
  });
}

const fileOf = (run: string, name: string) => readFileSync(join(folder, run, name));

test('a run learns from what a server rewards, and the same when it is stopped and resumed', async () => {
  const { metrics } = await trained('whole');
  expect(metrics.reduce((sum, { reward }) => sum + 6 * (reward as number), 0)).toBeCloseTo(given);
  expect(given).toBeGreaterThan(0);
  expect(fileOf('whole', 'final/model.safetensors').equals(readFileSync(join(model, 'model.safetensors')))).toBe(false);
  await vi.waitFor(() => expect(server.sessions).toBe(0));

  expect(await trained('stopped', { stopAfter: 1 })).toMatchObject({ finished: false });
  expect(await trained('stopped', { resume: true })).toMatchObject({ finished: true });
  expect(fileOf('stopped', 'final/model.safetensors').equals(fileOf('whole', 'final/model.safetensors'))).toBe(true);
  expect(JSON.parse(fileOf('stopped', 'mcp-tools.json').toString())).toMatchObject([{ tools: [{ name: 'weather' }] }]);
});

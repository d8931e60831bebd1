import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import office from '../../../examples/office/world.ts';
import { LocalEngine } from '../../../src/engine/local/engine.ts';
import type { McpServer } from '../../../src/tools/mcp/servers.ts';
import { ToolLost } from '../../../src/tools/tool.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../../../src/train/runDirectory.ts';
import { train } from '../../../src/train/train.ts';
import { withServers } from '../../../src/worlds/mcp.ts';
import type { World } from '../../../src/worlds/world.ts';
import { temporaryFolder } from '../../engine/tinyModel.ts';
import { officeServer } from './office.ts';
import { testServer } from './servers.ts';

const folder = temporaryFolder(afterAll);
const engine = await LocalEngine.start({ dtype: 'f32' });
afterAll(() => engine.close());
const world = office({ python: () => expect.unreachable() }) as World;

const shape = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 32 };
const { checkpoint: student } = await train(
  parseRecipe({
    method: 'sft',
    init: shape,
    training: { demonstrations: 128, epochs: 6, batchSize: 8 },
    optimizer: { learningRate: 5e-3 },
  }),
  { runDir: join(folder, 'student'), world, engine },
);

/** What is sampled, and the weights that are learned from it. */
async function learned(name: string, world: World, resume = false) {
  const recipe = parseRecipe({
    method: 'grpo',
    model: student,
    rollout: { groupSize: 4, maxTurns: 4, maxPromptTokens: 256, maxResponseTokens: 96 },
    training: { firstTask: 160, iterations: 2, promptsPerIteration: 3, promptsPerUpdate: 3 },
    optimizer: { learningRate: 5e-4 },
    save: { every: 1 },
  });
  const runDir = join(folder, name);
  const { checkpoint } = await train(recipe, { runDir, world, engine, resume });
  return {
    trajectories: readTrajectories(runDir),
    weights: readFileSync(join(checkpoint, 'model.safetensors')).toString('base64'),
  };
}

const functions = await learned('functions', world);

/** Whether a step has been at the server. */
const answered = ({ observation, error }: { observation?: string; error?: string }) =>
  observation !== undefined && (!error || error === 'exception');

async function behind(server: McpServer): Promise<World> {
  const { world: served, servers } = await withServers({ ...world, tools: () => [], mcp: [server] });
  onTestFinished(() => servers.close());
  return served;
}

/** Over HTTP; it is gone in the call behind so many. */
async function overHttp(mostCalls = Number.POSITIVE_INFINITY): Promise<McpServer> {
  let calls = 0;
  const onCall = () => {
    if (++calls > mostCalls) server.close().closeAllConnections();
  };
  const server = createServer(toNodeHandler(createMcpHandler(() => officeServer(onCall))));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { name: 'office', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` };
}

test('tools behind a server, over stdio and HTTP, teach bit for bit what they teach as functions', async () => {
  const steps = functions.trajectories.flatMap(({ steps }) => steps);
  expect(steps.filter(({ observation, error }) => observation && !error).length).toBeGreaterThan(5);
  expect(steps.filter(({ error }) => error === 'exception').length).toBeGreaterThan(1);
  for (const [name, server] of [
    ['stdio', testServer('officeServer.ts')],
    ['http', await overHttp()],
  ] as const) {
    const served = await learned(name, await behind(server));
    expect(served.trajectories).toEqual(functions.trajectories);
    expect(served.weights === functions.weights).toBe(true);
  }
});

test('a server that goes away ends the run with what to do; the run goes on from its last checkpoint', async () => {
  const calls = functions.trajectories.flatMap(({ steps }) => steps).filter(answered).length;
  const dying = await behind(await overHttp(calls - 3));
  const lost = learned('killed', dying);
  await expect(lost).rejects.toThrow(ToolLost);
  await expect(lost).rejects.toThrow(/^MCP server office is gone: .* --resume, from its last checkpoint/);
  expect(readMetrics(join(folder, 'killed')).length).toBe(1);
  const resumed = await learned('killed', await behind(await overHttp()), true);
  expect(resumed.trajectories).toEqual(functions.trajectories);
  expect(resumed.weights === functions.weights).toBe(true);
});

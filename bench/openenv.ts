/**
 * Environments of OpenEnv (PyPI) as worlds: `npm run bench:openenv` installs the package under runs/bench/openenv, serves its template,
 * an environment that echoes and rewards length, and one that has tools by MCP. A small model is taught to call both, and then learns
 * in them on policy.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolSchema } from '../src/tools/schema.ts';
import { parseRecipe, type RecipeInput } from '../src/train/recipe.ts';
import { train } from '../src/train/train.ts';
import { openWorld } from '../src/worlds/open.ts';
import { tasksOf } from '../src/worlds/tasks.ts';
import { healthyServer } from './peers/healthyServer.ts';
import { pythonWith } from './peers/pythonWith.ts';
import { writeSmallModels } from './smallSodRun.ts';

const version = '0.10.0';
const folder = fileURLToPath(new URL('../runs/bench/openenv', import.meta.url));
mkdirSync(folder, { recursive: true });
const python = pythonWith(join(folder, version), `openenv==${version}`);
for (const name of ['echoing', 'models', 'runs']) rmSync(join(folder, name), { recursive: true, force: true });
execFileSync(python, ['-m', 'openenv.cli', 'init', 'echoing', '--output-dir', folder], { stdio: 'ignore' });

const { student } = await writeSmallModels(join(folder, 'models'));

/** @param program Python that serves it on the port it is given @returns its address */
function served(cwd: string, program: string[], port: number): Promise<string> {
  return healthyServer(python, [...program, '--port', String(port)], cwd, port);
}

async function learn(name: string, input: RecipeInput) {
  const { checkpoint, metrics } = await train(parseRecipe(input), { runDir: join(folder, 'runs', name) });
  return { checkpoint, metrics };
}

/** Teaches a call that the environment answers, then lets the model learn from its rewards. */
async function learnIn(name: string, url: string, call: { name: string; arguments: object }, last: string) {
  const world = `openenv:${url}`;
  const opened = await openWorld(world);
  const [task] = await tasksOf(opened.world, 'train', [0]);
  const tools = opened.world.tools(task).map(tool => ({ type: 'function', function: toolSchema(tool) }));
  await opened.close();
  const toolCall = { type: 'function', function: { name: call.name, arguments: JSON.stringify(call.arguments) } };
  const messages = [
    ...task.messages,
    { role: 'assistant', content: '', tool_calls: [toolCall] },
    { role: 'tool', content: '…' },
    { role: 'assistant', content: last },
  ];
  const dataset = join(folder, `${name}.jsonl`);
  writeFileSync(dataset, `${JSON.stringify({ messages, tools })}\n`.repeat(16));
  const { checkpoint: model } = await learn(`${name}-sft`, {
    method: 'sft',
    model: student,
    dataset: { source: dataset },
    training: { demonstrations: 16, epochs: 30, batchSize: 8 },
    optimizer: { learningRate: 1e-2 },
  });
  const began = performance.now();
  const { metrics } = await learn(`${name}-grpo`, {
    method: 'grpo',
    model,
    world,
    rollout: { groupSize: 8, maxTurns: 3, maxResponseTokens: 192, concurrency: 16 },
    training: { iterations: 5, promptsPerIteration: 8, promptsPerUpdate: 8 },
    reward: { shaping: 'off', overlongBuffer: 0 },
    optimizer: { learningRate: 1e-3 },
  });
  const seconds = (performance.now() - began) / 1000;
  const [before, after] = [metrics[0], metrics.at(-1)!].map(({ reward }) => reward as number);
  const { toolTurns, toolSuccessRate } = metrics.at(-1)!;
  console.log(
    `${name}: tools ${tools.map(tool => tool.function.name).join(', ')}; reward ${before.toFixed(2)}, after 5 iterations of 64 ` +
      `episodes ${after.toFixed(2)}; ${(toolTurns as number).toFixed(2)} calls each, ${(100 * (toolSuccessRate as number)).toFixed(0)} % ` +
      `without an error; ${seconds.toFixed(0)} s`,
  );
  return before > 0 && (toolSuccessRate as number) > 0.5;
}

const echo = await served(join(folder, 'echoing'), ['-m', 'server.app', '--host', '127.0.0.1'], 5021);
const tools = await served(folder, [fileURLToPath(new URL('openenv_tools.py', import.meta.url))], 5022);
const echoes = await learnIn('echo', echo, { name: 'step', arguments: { message: 'hi' } }, 'Said.');
const adds = await learnIn('tools', tools, { name: 'add', arguments: { a: 1, b: 1 } }, 'Done.');
process.exitCode = echoes && adds ? 0 : 1;

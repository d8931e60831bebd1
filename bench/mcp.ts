/**
 * MCP servers that others wrote as an agent's tools: `npm run bench:mcp` installs server-everything and server-filesystem from npm
 * under runs/bench/mcp, teaches a small model to call both, talks to it by `sod chat` and lets it learn on policy. Then 200
 * trajectories have a server of their own each, of which no process may be left. No peer takes part.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callTool } from '../src/tools/call.ts';
import { openServers } from '../src/tools/mcp/open.ts';
import { parseRecipe, type RecipeInput } from '../src/train/recipe.ts';
import { train } from '../src/train/train.ts';

const folder = resolve('runs/bench/mcp');
const notes = join(folder, 'notes');
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

mkdirSync(notes, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{ "private": true }');
const packages = ['server-everything', 'server-filesystem'].map(name => `@modelcontextprotocol/${name}`);
execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: folder, stdio: 'inherit' });
const program = (name: string) => join(folder, 'node_modules/.bin', `mcp-${name}`);
const servers = [
  { name: 'files', command: program('server-filesystem'), args: [notes], tools: ['read_text_file'] },
  { name: 'everything', command: program('server-everything'), args: ['stdio'], tools: ['echo', 'get-tiny-image'] },
];

const words = ['apple', 'bread', 'cheese', 'dates'];
for (const [i, word] of words.entries()) writeFileSync(join(notes, `${i}.txt`), word);
const world = join(folder, 'world.mjs');
writeFileSync(
  world,
  `const words = ${JSON.stringify(words)};
const calls = [
  n => ({ name: 'read_text_file', arguments: { path: ${JSON.stringify(notes)} + '/' + n + '.txt' } }),
  n => ({ name: 'echo', arguments: { message: words[n] } }),
];
const of = task => { const [kind, n] = task.id.split('/').slice(1).map(Number); return { kind, n }; };
export default () => ({
  name: 'notes',
  mcp: ${JSON.stringify(servers)},
  task: (split, index) => {
    const [kind, n] = [index % 2, Math.floor(index / 2) % words.length];
    const content = kind === 0 ? 'What does note ' + n + ' say?' : 'Let ' + words[n] + ' be said again.';
    return { id: [split, kind, n, index].join('/'), messages: [{ role: 'user', content }], answer: words[n] };
  },
  tools: () => [],
  judge: (task, answer) => ({ score: answer.includes(task.answer) ? 1 : -1, correct: answer.includes(task.answer) }),
  async demonstrate(task) {
    const { kind, n } = of(task);
    return [
      { role: 'assistant', content: '', toolCalls: [calls[kind](n)] },
      { role: 'tool', content: kind === 0 ? words[n] : 'Echo: ' + words[n] },
      { role: 'assistant', content: 'It says ' + words[n] + '.' },
    ];
  },
});
`,
);

async function learn(name: string, input: RecipeInput) {
  const runDir = join(folder, name);
  rmSync(runDir, { recursive: true, force: true });
  const { checkpoint, metrics } = await train(parseRecipe(input), { runDir });
  return { checkpoint, last: metrics.at(-1)! };
}

const { checkpoint: model } = await learn('sft', {
  method: 'sft',
  world,
  init: { hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2, kvHeads: 1, headDim: 32 },
  training: { demonstrations: 64, epochs: 20, batchSize: 8 },
  optimizer: { learningRate: 3e-3 },
});
const chat = spawnSync(process.execPath, [cli, 'chat', model, '--world', world, '--temperature', '0'], {
  input: 'What does note 2 say?\n/reset\nLet bread be said again.\n',
  encoding: 'utf8',
});
console.log(chat.stdout);
const hears = ['← cheese', '← Echo: bread'].every(said => chat.stdout.includes(said));
console.log(`sod chat hears from both servers: ${hears}`);

const { last } = await learn('grpo', {
  method: 'grpo',
  model,
  world,
  rollout: { groupSize: 4, maxTurns: 4, maxResponseTokens: 128 },
  training: { iterations: 3, promptsPerIteration: 8, promptsPerUpdate: 4 },
});
console.log(`after 3 iterations: reward ${last.reward}, ${last.toolSuccessRate} of the calls without an error`);

const started = performance.now();
const kitchen = fileURLToPath(new URL('../test/tools/mcp/kitchenServer.mjs', import.meta.url));
const own = { name: 'kitchen', command: process.execPath, args: [kitchen], perTrajectory: true };
const opened = await openServers([own], 60_000);
const trajectory = async () => {
  const tools = opened.tools([]);
  const call = { name: 'count', arguments: {} };
  const counts = [await callTool(tools, call), await callTool(tools, call)];
  await Promise.all(tools.map(tool => tool.close?.()));
  return counts.map(({ observation }) => observation).join();
};
const counts = await Promise.all(Array.from({ length: 200 }, trajectory));
await opened.close();
const seconds = (performance.now() - started) / 1000;
await sleep(500);
const left = execFileSync('ps', ['--ppid', String(process.pid), '--format', 'args='], { encoding: 'utf8' })
  .split('\n')
  .filter(line => line.includes('kitchenServer'));
const wrong = counts.filter(count => count !== '1,2').length;
console.log(
  `200 trajectories with a server each: ${wrong} wrong, ${left.length} processes left, ${seconds.toFixed(0)} s`,
);
process.exitCode = hears && wrong === 0 && left.length === 0 ? 0 : 1;

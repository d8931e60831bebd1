/**
 * A real server under requests that are made to stop it: `npm run bench:hostile`. What is asked is that it keeps answering others:
 * `/health` within 200 ms, streams without a gap beyond ten of their median steps, and that memory comes back.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { median } from '../engine/median.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';
import { costlySchemas, formatted, hostileBodies } from './requests.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = new Command('bench:hostile')
  .description('Whether a server under hostile requests goes on answering others.')
  .option('--bytes <count>', 'size of each hostile body', Number, 2 ** 20 - 2 ** 14)
  .option('--at-once <count>', 'how many of one kind are sent together', Number, 4)
  .parse();
const { bytes, atOnce } = program.opts<{ bytes: number; atOnce: number }>();

const most = { healthMs: 200, gapInSteps: 10 };

/** As small as a demo's, with the vocabulary of a real one: masks cost what they cost. */
const model = `${root}/runs/bench/demo-sized-qwen3`;
if (!existsSync(model)) await writeRandomQwen3(model, { ...demoSized, vocab_size: 151_936 });

const args = [`${root}/dist/cli.js`, 'serve', model, '--port', '0', '--name', 'weather'];
const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
process.once('exit', () => server.kill('SIGKILL'));
const [, url] = /at (\S+)\/v1/.exec(await firstLine())!;

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: server.stdout })) return line;
  throw new Error('the server did not start');
}

const post = (route: string, body: string, signal?: AbortSignal) =>
  fetch(`${url}/v1/${route}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal });

/** How long others wait while something goes on. */
class Bystanders {
  readonly health: number[] = [];
  readonly gaps: number[] = [];
  readonly #left = new AbortController();
  readonly #all = Promise.all([this.#askHealth(), this.#stream()]);

  async leave(): Promise<{ slowestHealth: number; step: number; longestGap: number }> {
    this.#left.abort();
    await this.#all;
    return { slowestHealth: Math.max(...this.health), step: median(this.gaps), longestGap: Math.max(...this.gaps) };
  }

  async #askHealth() {
    while (!this.#left.signal.aborted) {
      const start = performance.now();
      const response = await fetch(`${url}/health`);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`/health: ${response.status}`);
      this.health.push(performance.now() - start);
      await sleep(10);
    }
  }

  /** One answer after the other; only what passes within one is a gap. */
  async #stream() {
    const body = JSON.stringify({
      model: 'weather',
      prompt: [1, 2, 3],
      max_tokens: 500,
      ignore_eos: true,
      stream: true,
    });
    while (!this.#left.signal.aborted) {
      const response = await post('completions', body);
      let last: number | undefined;
      for await (const _ of response.body!) {
        const now = performance.now();
        if (last !== undefined) this.gaps.push(now - last);
        last = now;
        if (this.#left.signal.aborted) break;
      }
    }
  }
}

const residentMiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;

const attacks: [name: string, route: string, body: string][] = [
  ...hostileBodies.map(([name, body, route]): [string, string, string] => [name, route, body(bytes)]),
  ...Object.entries(costlySchemas).map(([name, schema]): [string, string, string] => [
    name,
    'chat/completions',
    JSON.stringify({ ...formatted(schema), max_tokens: 20 }),
  ]),
];

const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0).padStart(6);
console.log('slowest /health, median step and longest gap of a stream in ms, memory in MiB, answers');

async function beside(name: string, work: () => Promise<string>) {
  const others = new Bystanders();
  const said = await work();
  const seen = await others.leave();
  const line = [ms(seen.slowestHealth), ms(seen.step), ms(seen.longestGap), residentMiB().toFixed(0).padStart(6)];
  console.log(`${line.join('')}  ${name}${said && `: ${said}`}`);
  return seen;
}

await beside('warming up', async () => {
  await sleep(3000);
  return '';
});
const alone = await beside('nothing', async () => {
  await sleep(5000);
  return '';
});
const before = residentMiB();

let slowestHealth = 0;
let longestGap = 0;
for (const [name, route, body] of attacks) {
  const seen = await beside(name, async () => {
    const statuses = Array.from({ length: atOnce }, async () => {
      const response = await post(route, body);
      await response.arrayBuffer();
      return response.status;
    });
    return [...new Set(await Promise.all(statuses))].join(', ');
  });
  slowestHealth = Math.max(slowestHealth, seen.slowestHealth);
  longestGap = Math.max(longestGap, seen.longestGap);
}
console.log('resting 110 seconds'); // V8 may take 100 to collect what a process at rest no longer needs
await sleep(110_000);
const inSteps = longestGap / alone.step;
console.log(`slowest answer of /health: ${slowestHealth.toFixed(0)} ms, at most ${most.healthMs}`);
console.log(`longest gap of a stream: ${inSteps.toFixed(1)} median steps, at most ${most.gapInSteps}`);
console.log(`memory: ${before.toFixed(0)} MiB before, ${residentMiB().toFixed(0)} MiB after`);
server.kill('SIGTERM');
process.exitCode = slowestHealth > most.healthMs || inSteps > most.gapInSteps ? 1 : 0;

/**
 * A real server under requests that are made to stop it: `npm run bench:hostile`. What is asked is that it keeps answering others:
 * `/health` within 200 ms, streams without a gap beyond ten of their median steps, and that memory comes back.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { median } from '../engine/median.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';
import { startServer } from '../startServer.ts';
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
const model = join(root, 'runs/bench/demo-sized-qwen3');
if (!existsSync(model)) await writeRandomQwen3(model, { ...demoSized, vocab_size: 151_936 });

const { server, url } = await startServer(model, '--name', 'weather');

const post = (route: string, body: string) =>
  fetch(`${url}/v1/${route}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });

/** How long others wait: one asks for `/health` all the time, one reads one answer after the other. */
class Bystanders {
  #health: number[] = [];
  #gaps: number[] = [];
  readonly #left = new AbortController();
  #began = () => {};
  /** Once tokens come, and there is something to wait for. */
  readonly streaming = new Promise<void>(resolve => {
    this.#began = resolve;
  });
  readonly #all = Promise.all([this.#askHealth(), this.#read()]);

  /** Since this was asked for the last time. */
  waited(): { slowestHealth: number; step: number; longestGap: number } {
    const [health, gaps] = [this.#health, this.#gaps];
    [this.#health, this.#gaps] = [[], []];
    return { slowestHealth: Math.max(0, ...health), step: median(gaps), longestGap: Math.max(0, ...gaps) };
  }

  async leave(): Promise<void> {
    this.#left.abort();
    await this.#all;
  }

  async #askHealth() {
    while (!this.#left.signal.aborted) {
      const start = performance.now();
      const response = await fetch(`${url}/health`);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`/health: ${response.status}`);
      this.#health.push(performance.now() - start);
      await sleep(10);
    }
  }

  /** Only what passes within one answer is a gap. */
  async #read() {
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
        if (last !== undefined) this.#gaps.push(now - last);
        last = now;
        this.#began();
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
console.log('slowest /health, median step and longest gap of a stream in ms; memory in MiB; answers');

const others = new Bystanders();
await others.streaming;
async function watched(name: string, work: () => Promise<string>) {
  const said = await work();
  // What an answer leaves to be done shows in what comes behind it.
  await sleep(300);
  const seen = others.waited();
  const figures = [ms(seen.slowestHealth), ms(seen.step), ms(seen.longestGap), residentMiB().toFixed(0).padStart(6)];
  console.log(`${figures.join('')}  ${name}: ${said}`);
  return seen;
}

await watched('nothing, while it warms up', () => sleep(3000, '-'));
const alone = await watched('nothing', () => sleep(5000, '-'));
const before = residentMiB();

let slowestHealth = 0;
let longestGap = 0;
for (const [name, route, body] of attacks) {
  const seen = await watched(name, async () => {
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
await others.leave();
console.log('resting 110 seconds'); // V8 may take 100 to collect what a process at rest no longer needs
await sleep(110_000);
const inSteps = longestGap / alone.step;
console.log(`slowest answer of /health: ${slowestHealth.toFixed(0)} ms, at most ${most.healthMs}`);
console.log(`longest gap of a stream: ${inSteps.toFixed(1)} median steps, at most ${most.gapInSteps}`);
console.log(`memory: ${before.toFixed(0)} MiB before, ${residentMiB().toFixed(0)} MiB after`);
server.kill('SIGTERM');
process.exitCode = slowestHealth > most.healthMs || inSteps > most.gapInSteps ? 1 : 0;

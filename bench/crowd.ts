/**
 * A thousand trajectories with tools at the same time, their policy behind `sod serve`: `npm run bench:crowd`. No peer takes part:
 * what is asked is that none waits for its tokens more than three times as long as the median, and that neither side's memory
 * grows from the 200th finished trajectory on.
 */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { eachRollout } from '../src/agent/rollouts.ts';
import { OpenAIEngine } from '../src/engine/openai/engine.ts';
import type { Sampler } from '../src/engine/types.ts';
import { judgedRollout } from '../src/eval/sampling.ts';
import { loadChat } from '../src/text/loadChat.ts';
import { openWorld } from '../src/worlds/open.ts';
import { startServer } from './startServer.ts';

const program = new Command('bench:crowd')
  .description('Many trajectories with tools at one server.')
  .argument('[checkpoint]', 'the model that is served', 'runs/demo/student-sod/final')
  .option('--trajectories <count>', 'in all', Number, 1000)
  .option('--concurrency <count>', 'of these at the same time', Number, 1000)
  .parse();
const [checkpoint] = program.processedArgs as [string];
const { trajectories, concurrency } = program.opts<{ trajectories: number; concurrency: number }>();
if (!existsSync(checkpoint)) {
  program.error(
    `${checkpoint} is not there: make it by 'npm run demo' (or 'npm run demo -- --smoke'), or name another`,
  );
}

const mostWait = 3;
const settled = Math.min(200, Math.floor(trajectories / 2));
const mostGrowth = 0.1;

// A cache so small that it is full before the measurement begins: it keeps what it has room for.
const cache = ['--cache-gib', '0.125'];
const { server, url } = await startServer(checkpoint, '--max-queue', String(concurrency), ...cache);

/** Seconds that each trajectory has waited for its tokens, all turns together. */
const waits: number[] = [];

/** The same sampler, the waiting of each of whose conversations is counted. */
function timed(sampler: Sampler): Sampler {
  return {
    generate: (...request) => sampler.generate(...request),
    async open(prompt) {
      const conversation = await sampler.open(prompt);
      let waited = 0;
      return {
        async generate(options, signal) {
          const began = performance.now();
          const completion = await conversation.generate(options, signal);
          waited += (performance.now() - began) / 1000;
          return completion;
        },
        append: tokens => conversation.append(tokens),
        close() {
          waits.push(waited);
          conversation.close();
        },
      };
    },
  };
}

/** Bytes of this process, its Python interpreter included, and of the server. */
async function memory(): Promise<{ client: number; server: number }> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(metrics)!;
  return { client: process.memoryUsage.rss(), server: Number(bytes) };
}

const engine = await OpenAIEngine.open(url, { concurrency, onNotice: console.error });
const { world, close } = await openWorld('shop');
const policy = { chat: loadChat(checkpoint), sampler: timed(await engine.sampler(checkpoint)) };
const settings = { temperature: 1, topP: 1, maxTurns: 12, maxResponseTokens: 320 };
const requests = Array.from({ length: trajectories }, (_, i) =>
  judgedRollout(policy, world, world.task('test', i), settings, i),
);

const began = performance.now();
const seconds = () => (performance.now() - began) / 1000;
let [done, calls, correct, sampled] = [0, 0, 0, 0];
let before: Awaited<ReturnType<typeof memory>> | undefined;
const most = { client: 0, server: 0 };
const watch = setInterval(async () => {
  if (done < settled) return;
  const now = await memory();
  before ??= now;
  most.client = Math.max(most.client, now.client);
  most.server = Math.max(most.server, now.server);
}, 500);
await eachRollout(requests, { concurrency }, trajectory => {
  calls += trajectory.steps.filter(({ observation }) => observation !== undefined).length;
  correct += trajectory.correct ? 1 : 0;
  sampled += trajectory.mask.reduce((sum, bit) => sum + bit, 0);
  if (++done % 200 === 0) console.log(`${done} finished after ${seconds().toFixed(0)} s`);
});
clearInterval(watch);
const took = seconds();

waits.sort((a, b) => a - b);
const [median, longest] = [waits[Math.floor(waits.length / 2)], waits[waits.length - 1]];
const growth = (side: 'client' | 'server') => most[side] / before![side] - 1;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const grown = (side: 'client' | 'server') =>
  `${mib(before![side])} → ${mib(most[side])} (${(100 * growth(side)).toFixed(1)} %)`;
console.log(
  `${trajectories} trajectories, ${concurrency} at a time, ${calls} tool calls, ${correct} right: ${took.toFixed(0)} s, ` +
    `${(sampled / took).toFixed(0)} tokens a second`,
);
console.log(
  `waited     median ${median.toFixed(1)} s, longest ${longest.toFixed(1)} s: ${(longest / median).toFixed(2)} times`,
);
console.log(`memory     client ${grown('client')}, server ${grown('server')}, from the ${settled}th trajectory on`);
await engine.close();
await close();
server.kill('SIGTERM');
process.exitCode =
  longest > mostWait * median || growth('client') > mostGrowth || growth('server') > mostGrowth ? 1 : 0;

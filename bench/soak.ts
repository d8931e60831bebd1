/**
 * Many streaming clients at a real server for minutes, a third of whom go away in the middle: `npm run bench:soak`. No peer takes
 * part: what is asked is that every complete answer is what the same request gets alone, that no sequence is left, and that
 * memory comes back to where it was.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { Random } from '../src/random.ts';
import { startServer } from './startServer.ts';

const program = new Command('bench:soak')
  .description('Many clients at one server, many of whom go away, and what is left of them.')
  .argument('[checkpoint]', 'the model that is served', 'runs/demo/student-sod/final')
  .option('--clients <count>', 'at the same time', Number, 200)
  .option('--seconds <count>', 'how long', Number, 120)
  .parse();
const [checkpoint] = program.processedArgs as [string];
const { clients, seconds } = program.opts<{ clients: number; seconds: number }>();
if (!existsSync(checkpoint)) {
  program.error(
    `${checkpoint} is not there: make it by 'npm run demo' (or 'npm run demo -- --smoke'), or name another`,
  );
}

/** Of the memory at rest: the collectors leave a little more or less behind. */
const mostGrowth = 0.05;

// A cache so small that it is full before the measurement begins: it keeps what it has room for.
const { server, url } = await startServer(checkpoint, '--name', 'demo', '--cache-gib', '0.125');

const priceTool = {
  type: 'function',
  function: {
    name: 'price',
    description: 'Price of an item',
    parameters: {
      type: 'object',
      properties: { item: { type: 'string', maxLength: 20 }, count: { type: 'integer', minimum: 1, maximum: 99 } },
      required: ['item'],
    },
  },
};
const schema = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 30 },
    prices: { type: 'array', maxItems: 5, items: { type: 'number' } },
  },
  required: ['name', 'prices'],
};
const kinds = [
  {},
  { tools: [priceTool] },
  { tools: [priceTool], tool_choice: 'required' },
  { response_format: { type: 'json_schema', json_schema: { name: 'offer', schema } } },
];

/** Different requests, of every kind, each with a seed of its own. */
const requests = Array.from({ length: 80 }, (_, i) => {
  const random = Random.of('request', i);
  return {
    model: 'demo',
    stream: true,
    seed: i,
    temperature: 0.5 + random.uniform(),
    max_tokens: 10 + random.below(150),
    messages: [{ role: 'user', content: `What do ${1 + random.below(9)} pears and ${random.below(50)} apples cost?` }],
    ...kinds[i % kinds.length],
  };
});

/**
 * @param leaveAfter events that are read before the client goes away; without it, it stays to the end
 * @returns the answer without what is new in each answer; undefined where the client went away
 */
async function ask(request: object, leaveAfter = Number.POSITIVE_INFINITY): Promise<string | undefined> {
  const body = JSON.stringify(request);
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  let text = '';
  let events = 0;
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    text += Buffer.from(bytes).toString('latin1');
    events += bytes.filter(byte => byte === 0x0a).length / 2;
    if (events >= leaveAfter) return undefined; // which closes the connection
  }
  if (!text.endsWith('data: [DONE]\n\n')) throw new Error(`the answer is cut: …${text.slice(-200)}`);
  return text.replace(/"(id":"(chatcmpl-|call_)[^"]*|created":\d+)/g, '');
}

function eventsOf(answer: string): number {
  return answer.split('\n\n').length - 1;
}

async function metrics(): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries([...text.matchAll(/^(\w+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

/** V8 may take 100 seconds to collect what a process at rest no longer needs. */
async function atRest() {
  console.log('resting  110 seconds');
  await sleep(110_000);
  return metrics();
}

const rss = (values: Record<string, number>) => `${(values.process_resident_memory_bytes / 2 ** 20).toFixed(0)} MiB`;

const alone: (string | undefined)[] = [];
for (const request of requests) alone.push(await ask(request));
await runClients(40);
const before = await atRest();
console.log(
  `before   ${rss(before)}, ${requests.length} different requests answered alone, a first ${clients} clients gone`,
);

const counts = await runClients(seconds, console.log);
const after = await atRest();
console.log(
  `answers  ${counts.complete} complete, ${counts.different} unlike the same request alone, ${counts.left} left early`,
);
console.log(
  `after    ${rss(after)}, ${after.sod_sequences_running} running, ${after.sod_sequences_waiting} waiting, ` +
    `${after.sod_cache_held_tokens} tokens held in the cache, ${after.sod_clients_gone_total} clients went away`,
);
console.log(
  `tokens   ${((after.sod_sampled_tokens_total - before.sod_sampled_tokens_total) / seconds).toFixed(0)} a second`,
);
server.kill('SIGTERM');
const leaked = after.sod_sequences_running + after.sod_sequences_waiting + after.sod_cache_held_tokens;
const growth = after.process_resident_memory_bytes / before.process_resident_memory_bytes - 1;
process.exitCode = counts.different > 0 || leaked > 0 || growth > mostGrowth ? 1 : 0;

async function runClients(forSeconds: number, say?: (text: string) => void) {
  const counts = { complete: 0, different: 0, left: 0 };
  const end = performance.now() + forSeconds * 1000;
  const client = async (_: unknown, number: number) => {
    const random = Random.of('client', number);
    while (performance.now() < end) {
      const index = random.below(requests.length);
      const leaves = random.uniform() < 1 / 3;
      const answer = await ask(requests[index], leaves ? random.below(eventsOf(alone[index]!)) : undefined);
      if (answer === undefined) counts.left++;
      else {
        counts.complete++;
        if (answer !== alone[index]) counts.different++;
      }
    }
  };
  const progress = setInterval(async () => {
    const now = await metrics();
    say?.(
      `         ${rss(now)}, ${now.sod_sequences_running} running, ${now.sod_sequences_waiting} waiting, ${counts.complete} complete`,
    );
  }, 20_000);
  await Promise.all(Array.from({ length: clients }, client));
  clearInterval(progress);
  return counts;
}

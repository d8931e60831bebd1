/**
 * Adapters over one base behind `sod serve`: what clients of all of them get in a second, beside as many clients of one model, in
 * pairs on the same server; and whether every answer is what the merged model gives alone: `npm run bench:adapters`.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { readCheckpoint } from '../src/checkpoint/checkpoint.ts';
import { LocalEngine } from '../src/engine/local/engine.ts';
import { Random } from '../src/random.ts';
import { serve } from '../src/serve/server.ts';
import { initializeCheckpoint } from '../src/train/initialize.ts';
import { openWorld } from '../src/worlds/open.ts';
import { median } from './engine/median.ts';
import { writeRandomAdapter } from './randomAdapter.ts';

const program = new Command('bench:adapters')
  .option('--adapters <count>', 'over one base', Number, 8)
  .option('--rank <rank>', 'of each', Number, 16)
  .option('--clients <count>', 'at the same time', Number, 64)
  .option('--tokens <count>', 'of each answer', Number, 32)
  .option('--pairs <count>', 'how often the sides take turns', Number, 5)
  .option('--cpu', 'count the CPU seconds of one thread: where other programs compute beside it')
  .option('--dtype <dtype>', 'f32, in which merged weights are not rounded anew, or bf16', 'f32')
  .option(
    '--models <folder>',
    'where the random models are kept',
    fileURLToPath(new URL('../runs/bench', import.meta.url)),
  )
  .parse();
const { adapters, rank, clients, tokens, pairs, cpu, dtype, models } = program.opts<{
  adapters: number;
  rank: number;
  clients: number;
  tokens: number;
  pairs: number;
  cpu?: boolean;
  dtype: 'f32' | 'bf16';
  models: string;
}>();
mkdirSync(models, { recursive: true });

const leastRatio = 0.8;
/** Eight layers of Qwen3-0.6B, and so few tokens that the LM head, which has no adapters, takes no time to speak of. */
const eightLayers = {
  hiddenSize: 1024,
  intermediateSize: 3072,
  layers: 8,
  heads: 16,
  kvHeads: 8,
  headDim: 128,
  tieEmbeddings: true,
};
const promptTokens = 24;

const base = await written(join(models, 'eight-layers-shop'), writeBase);
const { vocabSize } = configOf(base);
const folders: string[] = [];
for (let seed = 0; seed < adapters; seed++) {
  const folder = join(models, `eight-layers-shop-adapter-${seed}-rank-${rank}`);
  folders.push(await written(folder, folder => writeRandomAdapter(folder, base, { rank, seed, deviation: 0.04 })));
}

interface Asked {
  model: string;
  prompt: number[];
}

interface Answered extends Asked {
  answer: number[];
}

const names = folders.map((_, seed) => `adapter-${seed}`);
const engineOptions = { dtype, threads: cpu ? 1 : 0 };
const server = await serve({
  checkpoint: base,
  name: 'base',
  lora: folders.map((path, seed) => ({ name: names[seed], path })),
  port: 0,
  engine: engineOptions,
});
const ratios: number[] = [];
const speeds: Record<'one' | 'many', number[]> = { one: [], many: [] };
let answered: Answered[] = [];
await side('warm', names);
for (let pair = 0; pair < pairs; pair++) {
  const one = await side(`one ${pair}`, ['base']);
  const many = await side(`many ${pair}`, names);
  answered = many.answered;
  speeds.one.push(one.perSecond);
  speeds.many.push(many.perSecond);
  ratios.push(many.perSecond / one.perSecond);
}
await server.close();
console.log(
  `${clients} clients, ${tokens} tokens each, ${dtype}: ${Math.round(median(speeds.one))} tokens a ${cpu ? 'CPU second' : 'second'} of one model, ` +
    `${Math.round(median(speeds.many))} of ${adapters} adapters of rank ${rank}: ${median(ratios).toFixed(2)} times ` +
    `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} in ${pairs} pairs)`,
);
const { other, different } = await compareWithMerged(answered);
console.log(
  `${answered.length - other} of ${answered.length} answers are those of the merged models alone, ` +
    `${different} are not the base's`,
);
process.exitCode = median(ratios) >= leastRatio && other === 0 && different > 0 ? 0 : 1;

/** All clients at once, each with a prompt that nobody has had before; they share the models evenly. */
async function side(name: string, models: readonly string[]): Promise<{ perSecond: number; answered: Answered[] }> {
  const requests = Array.from({ length: clients }, (_, client): Asked => {
    const random = Random.of('prompt', name, client);
    const prompt = Array.from({ length: promptTokens }, () => random.below(vocabSize));
    return { model: models[client % models.length], prompt };
  });
  const began = seconds();
  const answered = await Promise.all(requests.map(async asked => ({ ...asked, answer: await complete(asked) })));
  const perSecond = (clients * tokens) / (seconds() - began);
  return { perSecond, answered };
}

function seconds(): number {
  if (!cpu) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function complete(asked: Asked): Promise<number[]> {
  const body = { ...asked, max_tokens: tokens, temperature: 0, ignore_eos: true, return_token_ids: true };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const { choices } = (await response.json()) as { choices: { token_ids: number[] }[] };
  return choices[0].token_ids;
}

/** @returns how many answers are other than the merged model's, and how many other than the base's */
async function compareWithMerged(answered: readonly Answered[]): Promise<{ other: number; different: number }> {
  const engine = await LocalEngine.start(engineOptions);
  const unlike = async (checkpoint: string, answered: readonly Answered[]) => {
    const sampler = await engine.sampler(checkpoint);
    const alone = await Promise.all(
      answered.map(({ prompt }) => sampler.generate(prompt, { maxTokens: tokens, temperature: 0 })),
    );
    await sampler.free();
    return alone.filter(({ tokens }, i) => tokens.join() !== answered[i].answer.join()).length;
  };
  let other = 0;
  for (const [i, folder] of folders.entries()) {
    other += await unlike(
      folder,
      answered.filter(({ model }) => model === names[i]),
    );
  }
  const different = await unlike(base, answered);
  await engine.close();
  return { other, different };
}

async function writeBase(folder: string): Promise<void> {
  const opened = await openWorld('shop');
  await initializeCheckpoint(folder, eightLayers, opened.world, 0);
  await opened.close();
}

function configOf(checkpoint: string) {
  const { config, close } = readCheckpoint(checkpoint);
  close();
  return config;
}

/** Made where it is missing. */
async function written(folder: string, write: (folder: string) => Promise<unknown>): Promise<string> {
  if (!existsSync(folder)) await write(folder);
  return folder;
}

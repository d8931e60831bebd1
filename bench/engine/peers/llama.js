/** llama.cpp through node-llama-cpp as one of the programs compared: requests and answers as in `torch_qwen3.py`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

let model;
let sequences = [];
let context;

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await { load, prefill, decode }[request.op](request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function load({ gguf, threads }) {
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: LlamaLogLevel.error });
  model = await llama.loadModel({ modelPath: gguf, useMmap: false });
  return {};
}

/** `prompt` new tokens into an empty context. */
async function prefill({ prompt, repeats }) {
  await open(1, prompt + 8, 512);
  return timed(repeats, async () => {
    await sequences[0].clearHistory();
    await sequences[0].evaluateWithoutGeneratingNewTokens(tokens(prompt));
  });
}

/** `steps` greedy tokens (the cheapest way to sample) for each of `batch` sequences behind a context that is computed once and copied. */
async function decode({ batch, context: length, steps, repeats }) {
  await open(batch, length + steps * (repeats + 1) + 8, Math.max(512, batch));
  const folder = mkdtempSync(join(tmpdir(), 'llama-state-'));
  const state = join(folder, 'state');
  await sequences[0].evaluateWithoutGeneratingNewTokens(tokens(length));
  await sequences[0].saveStateToFile(state);
  for (const sequence of sequences.slice(1)) await sequence.loadStateFromFile(state, { acceptRisk: true });
  rmSync(folder, { recursive: true });
  return timed(repeats, () => Promise.all(sequences.map(sequence => advance(sequence, steps))));
}

async function advance(sequence, steps) {
  let left = steps;
  for await (const _ of sequence.evaluate(tokens(1), { temperature: 0, yieldEogToken: true })) {
    if (--left === 0) break;
  }
}

async function open(count, contextSize, batchSize) {
  await context?.dispose();
  context = await model.createContext({ sequences: count, contextSize, batchSize, threads: 0 });
  sequences = Array.from({ length: count }, () => context.getSequence());
}

async function timed(repeats, body) {
  const seconds = [];
  for (let i = 0; i <= repeats; i++) {
    const start = performance.now();
    await body();
    if (i > 0) seconds.push((performance.now() - start) / 1000);
  }
  return { seconds };
}

function tokens(count) {
  return Array.from({ length: count }, () => Math.floor(Math.random() * 151_000));
}

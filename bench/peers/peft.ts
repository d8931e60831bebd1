/**
 * Adapters as PEFT (PyPI) has them, both ways: `npm run bench:peft`. What is trained here has the same logits there, and what is made
 * there has the same logits here, computed beside the base's weights and merged into them.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type OpenedWeights, WeightsOpener } from '../../src/engine/local/openWeights.ts';
import { linearNames } from '../../src/model/config.ts';
import { decode } from '../../src/model/decoder.ts';
import { Random } from '../../src/random.ts';
import { attention, lmHeadLogits } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { currentPython } from '../engine/install.ts';

const tolerance = 1e-4;
const path = (url: string) => fileURLToPath(new URL(url, import.meta.url));
const base = path('../../test/vectors/qwen3-tiny-tied');
const folder = path('../../runs/bench/peft');
const [trained, made] = ['trained', 'made'].map(name => join(folder, name));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const lora = { rank: 8, alpha: 16, targets: linearNames, seed: 1 };
const adam = { learningRate: 1e-2, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };
const sequences = [40, 17].map(length => {
  const random = Random.of('peft', length);
  return Array.from({ length }, () => random.below(300));
});

const engine = await LocalEngine.start({ dtype: 'f32' });
const trainer = await engine.trainer(base, lora);
for (let update = 0; update < 20; update++) {
  const data = sequences.map(tokens => ({ tokens, weights: new Float32Array(tokens.length).fill(1) }));
  await trainer.forwardBackward(data, { kind: 'cross_entropy' });
  await trainer.optimStep(adam);
}
await trainer.save(trained);
await engine.close();

const [ofTrained, ofMade] = JSON.parse(
  execFileSync(currentPython(), [path('peft_logits.py')], {
    input: JSON.stringify({ base, adapter: trained, made, sequences }),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 2 ** 30,
  }),
) as number[][][];

const options = { dtype: 'f32' as const, trainable: false, activationBytes: 2 ** 20 };
const moved = apart(logitsOf(new WeightsOpener().open(base, options)), ofTrained);
let isSame = moved > 1;
console.log(`20 updates of adapters moved a logit by up to ${moved.toFixed(2)}`);
for (const [name, adapter, expected] of [
  ['trained here', trained, ofTrained],
  ['made by PEFT', made, ofMade],
] as const) {
  const opener = new WeightsOpener();
  opener.open(base, { ...options, trainable: true, lora });
  const beside = apart(logitsOf(opener.open(adapter, options)), expected);
  const merged = apart(logitsOf(new WeightsOpener().open(adapter, options)), expected);
  console.log(`${name}: logits within ${beside.toExponential(1)} of PEFT's, merged ${merged.toExponential(1)}`);
  isSame &&= beside <= tolerance && merged <= tolerance;
}
process.exitCode = isSame ? 0 : 1;

function logitsOf({ weights, rotary }: OpenedWeights): Float32Array[] {
  return sequences.map(tokens =>
    scope(() => {
      const segments = Tensor.from(Int32Array.of(0, tokens.length, -1), [1, 3]);
      const positions = Int32Array.from(tokens, (_, i) => i);
      const hidden = decode(weights, rotary, Int32Array.from(tokens), positions, (_, qk, qkv) =>
        attention(undefined, qk, qkv, segments, weights.config),
      );
      return lmHeadLogits(hidden, weights.head).floats();
    }),
  );
}

/** The largest difference, as a part of the largest logit where that is above 1. */
function apart(ours: Float32Array[], theirs: readonly number[][]): number {
  const size = Math.max(1, ...theirs.flat().map(Math.abs));
  const differences = ours.flatMap((logits, s) => Array.from(logits, (logit, i) => Math.abs(logit - theirs[s][i])));
  return Math.max(...differences) / size;
}

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { forwardBackward, update } from '../../src/engine/local/learner.ts';
import { score } from '../../src/engine/local/scorer.ts';
import { lossWeights } from '../../src/methods/aggregation.ts';
import { decode } from '../../src/model/decoder.ts';
import { fromBf16, toBf16 } from '../../src/model/dtype.ts';
import { rotaryTable } from '../../src/model/rope.ts';
import { SafetensorsFile } from '../../src/model/safetensors.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { device } from '../../src/tensor/currentDevice.ts';
import { attention, lmHeadLogits } from '../../src/tensor/ops.ts';
import { whole } from '../../src/tensor/pieces.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';

interface Expected {
  sequences: number[][];
  weights: number[][];
  logprobs: number[][];
  entropy: number[][];
  loss: number;
  gradNorm: number;
  greedy: { prompt: number[]; continuation: number[] };
}

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  }
  expect(actual.length).toBe(expected.length);
  expect(worst).toBeLessThanOrEqual(relative * Math.max(largest, 1e-3));
}

describe.each(['tied', 'untied'])('Qwen3 as Hugging Face computes it, %s', kind => {
  const dir = `test/vectors/qwen3-tiny-${kind}`;
  const expected = JSON.parse(readFileSync(`${dir}/expected.json`, 'utf8')) as Expected;
  const tensors = SafetensorsFile.open(`${dir}/expected.safetensors`);
  const checkpoint = readCheckpoint(dir);
  const weights = loadWeights(checkpoint, { dtype: 'f32', trainable: true });
  const rotary = rotaryTable(checkpoint.config, 128);
  const config = checkpoint.config;
  const aligned = expected.sequences.map(tokens => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) }));
  afterAll(() => {
    weights.free();
    rotary.free();
    checkpoint.close();
    tensors.close();
  });

  const logitsOf = (tokens: number[]) =>
    scope(() => {
      const segments = Tensor.from(Int32Array.of(0, tokens.length, -1), [1, 3]);
      const positions = Int32Array.from(tokens, (_, i) => i);
      const hidden = decode(weights, rotary, Int32Array.from(tokens), positions, (_, qk, qkv) =>
        attention(undefined, qk, qkv, segments, { heads: config.heads, kvHeads: config.kvHeads }),
      );
      return lmHeadLogits(hidden, weights.head).floats();
    });

  it('gives the logits', () => {
    expected.sequences.forEach((tokens, i) => {
      close(logitsOf(tokens), tensors.tensors.get(`logits.${i}`)!.read(), 1e-4);
    });
  });

  it('gives log-probabilities and entropies', () => {
    whole(score(weights, rotary, aligned, 4096)).forEach(({ logprobs, entropies }, i) => {
      close(logprobs.subarray(1), expected.logprobs[i], 1e-4);
      close(entropies!.subarray(1), expected.entropy[i], 1e-4);
    });
  });

  it('continues greedily', () => {
    const tokens = [...expected.greedy.prompt];
    while (tokens.length < expected.greedy.prompt.length + expected.greedy.continuation.length) {
      const logits = logitsOf(tokens).subarray(-config.vocabSize);
      tokens.push(logits.indexOf(Math.max(...logits)));
    }
    expect(tokens.slice(expected.greedy.prompt.length)).toEqual(expected.greedy.continuation);
  });

  it.skipIf(device().isa === 'webgpu')('keeps bf16 within 0.05 of fp32 on the same weights', () => {
    const bits = (values: Float32Array<ArrayBuffer>) =>
      new Uint32Array(values.buffer, values.byteOffset, values.length);
    const rounded = (values: Float32Array<ArrayBuffer>) => {
      const halves = new Uint16Array(values.length);
      toBf16(bits(values), halves);
      fromBf16(halves, bits(values));
      return values;
    };
    const same = { ...checkpoint, tensors: checkpoint.tensors.map(t => ({ ...t, read: () => rounded(t.read()) })) };
    const [half, exact] = (['bf16', 'f32'] as const).map(dtype => loadWeights(same, { dtype, trainable: false }));
    const reference = whole(score(exact, rotary, aligned, 4096));
    whole(score(half, rotary, aligned, 4096)).forEach(({ logprobs }, i) => {
      const differences = logprobs.map((logprob, t) => Math.abs(logprob - reference[i].logprobs[t]));
      expect(Math.max(...differences)).toBeLessThan(0.05);
    });
    half.free();
    exact.free();
  });

  it('gives every gradient, and the parameters after one AdamW step', () => {
    const lossOf = lossWeights(expected.weights.map(weights => [0, ...weights]));
    const data = expected.sequences.map((tokens, i) => ({ tokens, weights: lossOf[i] }));
    const output = whole(forwardBackward(weights, rotary, data, { kind: 'cross_entropy' }, 4096));
    const training = weights.training!;
    close([output.loss], [expected.loss], 1e-4);
    const read = (flat: Tensor, name: string) =>
      scope(() => {
        const { offset, shape } = training.ranges.get(name)!;
        return flat.view(offset, shape).floats();
      });
    for (const name of training.ranges.keys()) {
      // The vectors hold the gradients after clipping to norm 1.
      const unclipped = tensors.tensors
        .get(`grad.${name}`)!
        .read()
        .map(g => g * expected.gradNorm);
      close(read(training.gradients, name), unclipped, 1e-3);
    }
    const { gradNorm } = update(weights, 1, {
      learningRate: 1e-3,
      betas: [0.9, 0.95],
      epsilon: 1e-8,
      weightDecay: 0.01,
      clipNorm: 1,
    });
    close([gradNorm], [expected.gradNorm], 1e-4);
    for (const name of training.ranges.keys()) {
      const after = tensors.tensors.get(`adamw.${name}`)!.read();
      const gradient = tensors.tensors.get(`grad.${name}`)!.read();
      // The first step divides by |g| + ε: where |g| is no larger than ε = 1e-8, rounding noise decides its size.
      const wrong = read(training.parameters, name).findIndex(
        (value, i) => Math.abs(gradient[i]) > 1e-7 && Math.abs(value - after[i]) > 1e-5,
      );
      expect([name, wrong]).toEqual([name, -1]);
    }
  });

  it('gives all parameters after one AdamW step from the reference gradients', () => {
    const fresh = loadWeights(checkpoint, { dtype: 'f32', trainable: true });
    const training = fresh.training!;
    scope(() => {
      for (const [name, { offset, shape }] of training.ranges) {
        training.gradients.view(offset, shape).write(tensors.tensors.get(`grad.${name}`)!.read());
      }
      update(fresh, 1, { learningRate: 1e-3, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.01, clipNorm: 0 });
      for (const [name, { offset, shape }] of training.ranges) {
        const after = tensors.tensors.get(`adamw.${name}`)!.read();
        const differences = training.parameters
          .view(offset, shape)
          .floats()
          .map((value, i) => Math.abs(value - after[i]));
        expect(Math.max(...differences)).toBeLessThanOrEqual(1e-5);
      }
    });
    fresh.free();
  });
});

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { forwardBackward, update } from '../../../src/engine/local/learner.ts';
import { microBatches } from '../../../src/engine/local/pass.ts';
import { score } from '../../../src/engine/local/scorer.ts';
import type { Datum, LossSpec } from '../../../src/engine/types.ts';
import { Random } from '../../../src/random.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { whole } from '../../../src/tensor/pieces.ts';
import { loadModel, randomTokens } from '../tinyModel.ts';

const ppo: LossSpec = { kind: 'ppo', clipLow: 0.2, clipHigh: 0.28, dualClip: 3 };

/** Sixteen answers of different lengths to one prompt; only the answers are trained. */
const data: Datum[] = Array.from({ length: 16 }, (_, i) => {
  const random = Random.of('datum', i);
  const tokens = [...randomTokens(70, 'prompt'), ...randomTokens(1 + ((i * 7) % 23), i)];
  const numbers = (of: () => number) => Float32Array.from(tokens, of);
  return {
    tokens,
    weights: Float32Array.from(tokens, (_, t) => (t < 70 ? 0 : 0.5 + random.uniform())),
    advantages: numbers(() => random.normal()),
    behaviourLogprobs: numbers(() => -4 + random.normal()),
  };
});

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  expect(actual.length).toBe(expected.length);
  const [difference, largest] = [0, 1].map(kind =>
    Array.from(expected).reduce((most, e, i) => Math.max(most, Math.abs(kind ? e : actual[i] - e)), 0),
  );
  expect(difference).toBeLessThanOrEqual(relative * Math.max(largest, 1e-3));
}

describe.each(['tied', 'untied'])('packed passes, %s', kind => {
  const { weights, rotary } = loadModel(`test/vectors/qwen3-tiny-${kind}`, { dtype: 'f32', trainable: true });
  afterAll(() => {
    weights.free();
    rotary.free();
  });

  const { gradients } = weights.training!;
  const learn = (data: Datum[], loss: LossSpec, rowsPerPass: number) => {
    gradients.zero();
    const output = whole(forwardBackward(weights, rotary, data, loss, rowsPerPass));
    return { ...output, gradient: gradients.floats() };
  };

  it.each([ppo, { kind: 'cross_entropy' }] satisfies LossSpec[])(
    'a shared prompt gives $kind what sixteen packs of one give',
    loss => {
      const shared = learn(data, loss, 100_000);
      const alone = learn(data, loss, 1);
      close([shared.loss], [alone.loss], 1e-5);
      shared.logprobs.forEach((logprobs, i) => {
        close(logprobs, alone.logprobs[i], 1e-5);
      });
      close(shared.gradient, alone.gradient, 2e-5);
      close(Object.values(shared.metrics), Object.values(alone.metrics), 1e-5);
      expect(shared.tokens).toBe(data.reduce((sum, { tokens }) => sum + tokens.length - 70, 0));
    },
  );

  it('micro-batches and single calls add up to the whole', () => {
    const all = learn(data, ppo, 100_000);
    const cut = learn(data, ppo, 150);
    close([cut.loss], [all.loss], 1e-5);
    close(cut.gradient, all.gradient, 2e-5);
    gradients.zero();
    const parts = [data.slice(0, 8), data.slice(8)].map(half =>
      whole(forwardBackward(weights, rotary, half, ppo, 4096)),
    );
    close([parts[0].loss + parts[1].loss], [all.loss], 1e-5);
    close(gradients.floats(), all.gradient, 2e-5);
  });

  it('scores as it learns, whatever else is in the batch', () => {
    const sequences = data.map(({ tokens, weights }) => ({ tokens, mask: Uint8Array.from(weights, w => (w ? 1 : 0)) }));
    const { logprobs } = learn(data, { kind: 'cross_entropy' }, 4096);
    const scores = whole(score(weights, rotary, sequences, 300));
    scores.forEach((scored, i) => {
      close(scored.logprobs, logprobs[i], 1e-5);
      close(scored.logprobs, whole(score(weights, rotary, [sequences[i]], 4096))[0].logprobs, 1e-5);
      expect(scored.entropies!.every((entropy, t) => (sequences[i].mask[t] ? entropy > 0 : entropy === 0))).toBe(true);
    });
  });
});

it.each(['f32', 'bf16'] as const)('%s: layers that are computed twice give the same gradient, bit for bit', dtype => {
  const { weights, rotary } = loadModel('test/vectors/qwen3-tiny-tied', { dtype, trainable: true });
  const { gradients } = weights.training!;
  const [kept, recomputed] = [Number.POSITIVE_INFINITY, 0].map(keptRows => {
    gradients.zero();
    weights.training!.renew();
    native().trim();
    const { loss, logprobs } = whole(forwardBackward(weights, rotary, data, ppo, 300, keptRows));
    const { liveBytes, pooledBytes } = native().memory();
    return { result: { loss, logprobs, gradient: gradients.floats() }, bytes: liveBytes + pooledBytes };
  });
  weights.free();
  rotary.free();
  expect(recomputed.result).toEqual(kept.result);
  expect(recomputed.result.gradient.some(g => g !== 0)).toBe(true);
  expect(recomputed.bytes).toBeLessThan(kept.bytes);
});

it('runs of sequences keep their order and stay within the rows, where one sequence alone does', () => {
  const sequences = fc.array(fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 30 }).map(tokens => ({ tokens })));
  fc.assert(
    fc.property(sequences, fc.integer({ min: 1, max: 60 }), (sequences, most) => {
      const batches = microBatches(sequences, most);
      expect(batches.flat()).toEqual(sequences);
      for (const batch of batches) {
        const distinct = new Set(batch.flatMap(({ tokens }) => tokens.map((_, t) => tokens.slice(0, t + 1).join())));
        expect(batch.length === 1 || distinct.size <= most).toBe(true);
      }
    }),
  );
});

it('memory is where it was after 200 updates, and empty at the end', () => {
  native().trim();
  const start = native().memory();
  const { weights, rotary } = loadModel('test/vectors/qwen3-tiny-tied', { dtype: 'f32', trainable: true });
  const adam = {
    learningRate: 1e-3,
    betas: [0.9, 0.95] as [number, number],
    epsilon: 1e-8,
    weightDecay: 0,
    clipNorm: 1,
  };
  const step = (k: number) => {
    const batch = data.slice(k % 10, (k % 10) + 2).map(({ tokens, weights }) => ({ tokens, weights }));
    whole(forwardBackward(weights, rotary, batch, { kind: 'cross_entropy' }, 4096));
    update(weights, k + 1, adam);
  };
  for (let k = 0; k < 20; k++) step(k);
  const before = native().memory();
  for (let k = 20; k < 220; k++) step(k);
  expect(native().memory()).toEqual(before);
  weights.free();
  rotary.free();
  native().trim();
  expect(native().memory()).toEqual(start);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { type Linear, lmHead, lmHeadLogits, selectRows } from '../../src/tensor/ops.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const [n, h] = [5, 24];

function inputs(vocab: number, m: number, seed: number) {
  const random = Random.of(seed);
  return {
    x: normal(seed, n, h),
    w: normal(seed + 1, vocab, h),
    rows: Int32Array.from({ length: m }, () => random.below(n)),
    targets: Int32Array.from({ length: m }, () => random.below(vocab)),
  };
}

function head({ x, w, rows, targets }: ReturnType<typeof inputs>, chunkRows: number) {
  return scope(() => {
    const weight = Tensor.from(w.data, w.shape);
    const grad = Tensor.zeros('f32', w.shape);
    const [forward, backward] = (['forward', 'backward'] as const).map(d =>
      PackedWeight.of(weight, 'f32', d, chunkRows),
    );
    const linear: Linear = { forward, backward, grad };
    const hidden = Tensor.from(x.data, x.shape);
    const tape = new Tape();
    const result = lmHead(tape, hidden, Tensor.from(rows), Tensor.from(targets), linear);
    const forwardValues = { logprobs: result.logprobs.floats(), entropies: result.entropies.floats() };
    const logits = lmHeadLogits(selectRows(undefined, hidden, Tensor.from(rows)), linear).floats();
    result.setGradient(Float32Array.from(rows, (_, i) => Math.sin(i + 1)));
    tape.backward();
    return { ...forwardValues, logits, dx: tape.gradient(hidden).floats(), dw: grad.floats() };
  });
}

const cases = fc.record({
  vocab: fc.integer({ min: 1, max: 200 }),
  // More than one block of rows.
  m: fc.integer({ min: 1, max: 300 }),
  chunk: fc.constantFrom(16, 37, 64),
  seed: fc.nat(),
});

test('log-probability and entropy are those of the softmax in float64', () => {
  fc.assert(
    fc.property(cases, ({ vocab, m, chunk, seed }) => {
      const input = inputs(vocab, m, seed);
      const { logprobs, entropies } = head(input, chunk);
      let worst = 0;
      input.rows.forEach((row, i) => {
        const logits = Array.from({ length: vocab }, (_, token) => {
          let sum = 0;
          for (let j = 0; j < h; j++) sum += input.x.data[row * h + j] * input.w.data[token * h + j];
          return sum;
        });
        const best = Math.max(...logits);
        const lse = best + Math.log(logits.reduce((sum, l) => sum + Math.exp(l - best), 0));
        const entropy = logits.reduce((sum, l) => sum - Math.exp(l - lse) * (l - lse), 0);
        worst = Math.max(
          worst,
          Math.abs(logprobs[i] - (logits[input.targets[i]] - lse)),
          Math.abs(entropies[i] - entropy),
        );
      });
      expect(worst).toBeLessThan(2e-5);
    }),
    { numRuns: 8 },
  );
});

test('chunks of the vocabulary add up to the whole', () => {
  fc.assert(
    fc.property(cases, ({ vocab, m, chunk, seed }) => {
      const input = inputs(vocab, m, seed);
      const [cut, whole] = [head(input, chunk), head(input, vocab)];
      for (const name of ['logprobs', 'entropies', 'logits', 'dx', 'dw'] as const) {
        const scale = Math.max(1, ...whole[name].map(Math.abs));
        const worst = whole[name].reduce((most, value, i) => Math.max(most, Math.abs(value - cut[name][i])), 0);
        expect(worst, name).toBeLessThan(1e-5 * scale);
      }
    }),
    { numRuns: 8 },
  );
});

test('a certain token has log-probability 0 and leaves no entropy, an impossible one stays finite', () => {
  const result = scope(() => {
    const weight = Tensor.from(Float32Array.of(1000, -1000, 0), [3, 1]);
    const linear = { forward: PackedWeight.of(weight, 'f32', 'forward', 2) };
    const x = Tensor.from(Float32Array.of(1), [1, 1]);
    const { logprobs, entropies } = lmHead(
      undefined,
      x,
      Tensor.from(Int32Array.of(0, 0)),
      Tensor.from(Int32Array.of(0, 1)),
      linear,
    );
    return { logprobs: [...logprobs.floats()], entropies: [...entropies.floats()] };
  });
  expect(result.logprobs).toEqual([0, -2000]);
  for (const entropy of result.entropies) expect(entropy).toBeCloseTo(0, 12);
});

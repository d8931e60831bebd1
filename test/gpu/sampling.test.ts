import { afterEach, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { type Draws, sample, topTokens } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { byCpu, gpu } from './onGpu.ts';

const { largestBinding } = gpu.info;
afterEach(() => {
  Object.assign(gpu.info, { largestBinding });
});

/** Rows and tokens: a part of a block of logits, a whole one, a few, and more of them than a workgroup has threads. */
const sizes = [
  [32, 1],
  [32, 70],
  [32, 1024],
  [32, 2500],
  [3, 70_001],
];

/** Draws of every kind. */
function settings(rows: number, vocab: number): Draws {
  const random = Random.of('draws', vocab);
  const each = <T>(...values: T[]) => Array.from({ length: rows }, () => values[random.below(values.length)]);
  const mask = Int32Array.from({ length: Math.ceil(vocab / 32) }, (_, word) => (word % 3 === 0 ? 0x70503011 : 1));
  return {
    temperatures: Float32Array.from(each(0, 0.3, 1, 1, 1.7)),
    topPs: Float32Array.from(each(1, 1, 0.95, 0.6, 0.05)),
    topKs: Int32Array.from(each(0, 0, 1, 20, vocab + 1)),
    uniforms: Float32Array.from({ length: rows }, (_, i) => (i === 0 ? 0 : random.uniform())),
    masks: each(
      undefined,
      undefined,
      mask,
      Int32Array.from(mask, word => ~word | 1),
    ),
  };
}

/** Of rows that are sharp and flat in turn, and in whole numbers, so that many are equal. */
function logitsOf(rows: number, vocab: number): Float32Array {
  const random = Random.of('logits', vocab);
  return Float32Array.from({ length: rows * vocab }, (_, i) => {
    const value = random.normal() * [1, 4, 2][Math.floor(i / vocab) % 3];
    return Math.floor(i / vocab) % 3 === 2 ? Math.round(value) : value;
  });
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(Math.max(...actual.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-4);
}

test.each(sizes)('in %i rows of %i tokens those are drawn and ranked that the CPU draws', (rows, vocab) => {
  const work = () =>
    scope(() => {
      const logits = Tensor.from(logitsOf(rows, vocab), [rows, vocab]);
      const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7) % vocab);
      return {
        drawn: sample(logits, settings(rows, vocab)),
        plain: sample(logits, { ...settings(rows, vocab), masks: undefined }),
        top: topTokens(logits, Math.min(vocab, 30), targets),
      };
    });
  const expected = byCpu(work);
  const actual = work();
  for (const which of ['drawn', 'plain'] as const) {
    expect(actual[which].tokens).toEqual(expected[which].tokens);
    expectClose(actual[which].logprobs, expected[which].logprobs);
  }
  expect(actual.top.tokens).toEqual(expected.top.tokens);
  expect(actual.top.targetRanks).toEqual(expected.top.targetRanks);
  expectClose(actual.top.logprobs, expected.top.logprobs);
  expectClose(actual.top.targetLogprobs, expected.top.targetLogprobs);

  // Once more bit for bit, and three rows at a time, where a driver binds no more.
  Object.assign(gpu.info, { largestBinding: 3 * 4096 * Math.ceil(vocab / 1024) + gpu.info.bindingAlignment });
  expect(work()).toEqual(actual);
});

test('of equals the first come first', () => {
  const drawn = scope(() => {
    const logits = Tensor.from(new Float32Array(3 * 2000), [3, 2000]);
    return sample(logits, {
      temperatures: Float32Array.of(0, 1, 1),
      topPs: Float32Array.of(1, 1, 0.75),
      topKs: Int32Array.of(0, 3, 0),
      uniforms: Float32Array.of(0.9, 0.99, 0.9999),
    });
  });
  expect([...drawn.tokens]).toEqual([0, 2, 1499]);
});

/** Few of the tokens are allowed, and some of these never come. */
test('what may not come never does, wherever the chance falls', () => {
  const [rows, vocab] = [16, 1500];
  const random = Random.of('far apart');
  const each = <T>(...values: T[]) => Array.from({ length: rows }, (_, row) => values[row % values.length]);
  const allowed = Array.from({ length: vocab }, (_, token) => token % 5 === 0);
  const mask = new Int32Array(Math.ceil(vocab / 32));
  allowed.forEach((is, token) => {
    if (is) mask[token >> 5] |= 1 << (token & 31);
  });
  const drawn = scope(() =>
    sample(
      Tensor.from(
        Float32Array.from({ length: rows * vocab }, () => 9 * random.normal()),
        [rows, vocab],
      ),
      {
        temperatures: new Float32Array(rows).fill(1),
        topPs: Float32Array.from(each(1, 0.9999999)),
        topKs: Int32Array.from(each(1000, 0)),
        uniforms: Float32Array.from(each(1, 1, 1 - 2 ** -24, 1 - 2 ** -24, 0)),
        masks: each(mask),
      },
    ),
  );
  expect([...drawn.tokens].filter(token => !allowed[token])).toEqual([]);
});

test('of logits without an end those of the CPU come, and of what are no numbers some token', () => {
  const vocab = 1500;
  const infinite = Float32Array.from({ length: vocab }, (_, i) => (i % 3 === 0 ? i % 7 : Number.NEGATIVE_INFINITY));
  const logits = Float32Array.of(...infinite, ...infinite.map(() => Number.NaN));
  const draws = (topP: number, topK: number): Draws => ({
    temperatures: Float32Array.of(1, 1),
    topPs: Float32Array.of(topP, topP),
    topKs: Int32Array.of(topK, topK),
    uniforms: Float32Array.of(0.7, 0.7),
  });
  const work = () =>
    scope(() => {
      const given = Tensor.from(logits, [2, vocab]);
      const drawn = [draws(1, 0), draws(0.5, 0), draws(1, 900)].map(each => sample(given, each));
      return { drawn, top: topTokens(given, 1000, Int32Array.of(1, 2)) };
    });
  const expected = byCpu(work);
  const actual = work();
  actual.drawn.forEach(({ tokens }, i) => {
    expect(tokens[0]).toBe(expected.drawn[i].tokens[0]);
    expect(tokens[1]).toBeLessThan(vocab);
  });
  expect(actual.top.tokens.slice(0, 1000)).toEqual(expected.top.tokens.slice(0, 1000));
  expect(actual.top.targetRanks[0]).toBe(expected.top.targetRanks[0]);
  expect(actual.top.targetLogprobs[0]).toBe(Number.NEGATIVE_INFINITY);
});

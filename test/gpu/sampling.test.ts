import { afterEach, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { type Draws, sample, topTokens } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { byCpu, gpu } from './onGpu.ts';

const { largestBinding } = gpu.info;
afterEach(() => {
  Object.assign(gpu.info, { largestBinding });
});

/** One block of logits, and more of them than one thread of a workgroup has. */
const vocabularies = [1, 70, 1024, 2500];
const rows = 32;

/** Draws of every kind, for so many rows. */
function settings(vocab: number): Draws {
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
function logitsOf(vocab: number): Float32Array {
  const random = Random.of('logits', vocab);
  return Float32Array.from({ length: rows * vocab }, (_, i) => {
    const value = random.normal() * [1, 4, 2][Math.floor(i / vocab) % 3];
    return Math.floor(i / vocab) % 3 === 2 ? Math.round(value) : value;
  });
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(Math.max(...actual.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-4);
}

test.each(vocabularies)('of %i tokens those are drawn and ranked that the CPU draws', vocab => {
  const work = () =>
    scope(() => {
      const logits = Tensor.from(logitsOf(vocab), [rows, vocab]);
      const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7) % vocab);
      return {
        drawn: sample(logits, settings(vocab)),
        plain: sample(logits, { ...settings(vocab), masks: undefined }),
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

  // Once more bit for bit, and a few rows at a time, where a driver binds no more.
  Object.assign(gpu.info, { largestBinding: 1 << 16 });
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

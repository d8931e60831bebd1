import { describe, expect, test } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { mergeFactors } from '../../src/checkpoint/mergeAdapter.ts';
import { forwardBackward } from '../../src/engine/local/learner.ts';
import { score } from '../../src/engine/local/scorer.ts';
import { storedParts } from '../../src/engine/local/trainerFiles.ts';
import { trainedAdapters } from '../../src/model/adapters.ts';
import { linearNames } from '../../src/model/config.ts';
import { factorsOf, type LoraShape } from '../../src/model/lora.ts';
import { rotaryTable } from '../../src/model/rope.ts';
import { loadWeights, type Weights } from '../../src/model/weights.ts';
import { Random } from '../../src/random.ts';
import { whole } from '../../src/tensor/pieces.ts';
import { scope, type Tensor } from '../../src/tensor/tensor.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';

const dtypes = ['f32', 'bf16'] as const;
const lengths = [40, 7, 25];
const sequences = lengths.map(length => {
  const tokens = randomTokens(length, 'lora', length);
  return { tokens, mask: new Uint8Array(length).fill(1), weights: new Float32Array(length).fill(1 / length) };
});

/** A model of every biased and normed part, a frozen one that gradients go through, and adapters over it. */
async function opened(lora: LoraShape, dtype: 'f32' | 'bf16') {
  const checkpoint = readCheckpoint(await writeTinyModel(temporaryFolder(), 1, { attention_bias: true }));
  const base = loadWeights(checkpoint, { dtype, trainable: false, differentiable: true });
  const rotary = rotaryTable(checkpoint.config, 64);
  return { checkpoint, base, rotary, adapted: trainedAdapters(base, lora, 3) };
}

/** Gives all factors values as training would, B as well. */
function setRandomly({ training }: Weights): void {
  for (const [name, { shape }] of training!.ranges) {
    const random = Random.of('factors', name);
    training!.set(
      name,
      Float32Array.from({ length: shape[0] * shape[1] }, () => 0.2 * random.normal()),
    );
  }
  training!.renew();
}

test.each(dtypes)('fresh adapters change no bit: %s', async dtype => {
  const { base, adapted, rotary } = await opened({ rank: 4, alpha: 8, targets: linearNames }, dtype);
  expect(whole(score(adapted, rotary, sequences, 512))).toEqual(whole(score(base, rotary, sequences, 512)));
});

test.each(dtypes)('a sequence has the same bits alone and beside others: %s', async dtype => {
  const { adapted, rotary } = await opened({ rank: 5, alpha: 8, targets: linearNames }, dtype);
  setRandomly(adapted);
  const together = whole(score(adapted, rotary, sequences, 512));
  sequences.forEach((sequence, i) => {
    expect(whole(score(adapted, rotary, [sequence], 512))).toEqual([together[i]]);
  });
});

describe.each([[linearNames], [['q_proj', 'v_proj']], [['k_proj', 'up_proj', 'o_proj']]])(
  'with adapters of %s',
  targets => {
    const lora = { rank: 3, alpha: 5, targets } as LoraShape;
    const scale = lora.alpha / lora.rank;

    test('the model, its loss and its gradients are those of the merged weights', async () => {
      const { checkpoint, adapted, rotary } = await opened(lora, 'f32');
      setRandomly(adapted);
      const training = adapted.training!;
      const factors = factorsOf(storedParts(training, training.parameters), scale);
      const merged = loadWeights(
        { ...checkpoint, tensors: mergeFactors(checkpoint.tensors, factors) },
        { dtype: 'f32', trainable: true },
      );
      const [ours, theirs] = [adapted, merged].map(weights =>
        whole(forwardBackward(weights, rotary, sequences, { kind: 'cross_entropy' }, 512)),
      );
      ours.logprobs.forEach((logprobs, i) => {
        expectClose(logprobs, theirs.logprobs[i]);
      });

      const read = ({ training }: Weights, flat: (t: NonNullable<Weights['training']>) => Tensor, name: string) =>
        scope(() => {
          const { offset, shape } = training!.ranges.get(name)!;
          return flat(training!).view(offset, shape).floats();
        });
      expect(factors.size).toBe(2 * targets.length);
      for (const [module, { a, b }] of factors) {
        const [rows, columns] = [b.shape[0], a.shape[1]];
        const dW = read(merged, t => t.gradients, `${module}.weight`);
        const [A, B] = [a.read(), b.read()];
        const [dA, dB] = ['lora_A', 'lora_B'].map(factor =>
          read(adapted, t => t.gradients, `${module}.${factor}.weight`),
        );
        const { rank } = lora;
        expectClose(
          dB,
          table(rows, rank, (i, k) => scale * sum(columns, j => dW[i * columns + j] * A[k * columns + j])),
        );
        expectClose(
          dA,
          table(rank, columns, (k, j) => scale * sum(rows, i => B[i * rank + k] * dW[i * columns + j])),
        );
      }
    });
  },
);

function table(rows: number, columns: number, entry: (row: number, column: number) => number): number[] {
  return Array.from({ length: rows * columns }, (_, i) => entry(Math.floor(i / columns), i % columns));
}

function sum(count: number, term: (index: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}

function expectClose(actual: Float32Array, expected: ArrayLike<number>): void {
  const size = actual.reduce((most, _, i) => Math.max(most, Math.abs(expected[i])), 0);
  const worst = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
  expect(worst).toBeLessThan(2e-4 * size);
}

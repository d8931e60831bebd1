import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type OpenOptions, WeightsOpener } from '../../src/engine/local/openWeights.ts';
import type { LoraOptions } from '../../src/engine/types.ts';
import { linear } from '../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { evaluate, normal, type Operation, rounded } from '../tensor/gradientCheck.ts';
import { operations } from '../tensor/operations.ts';
import { byCpu, gpu, onGpu } from './onGpu.ts';

const numbers = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 300 });

test('numbers are rounded as on the CPU, wherever in a tensor they begin', () => {
  fc.assert(
    fc.property(numbers, fc.nat(300), (numbers, place) => {
      const [data, first] = [Float32Array.from(numbers), place % numbers.length];
      const stored = () =>
        scope(() => {
          const whole = Tensor.from(data, [data.length], 'bf16');
          whole.view(first, [data.length - first]).write(data.subarray(first).map(value => -value));
          return whole.floats();
        });
      expect(stored()).toEqual(byCpu(stored));
    }),
    { numRuns: 20 },
  );
});

test.each(['f32', 'bf16'] as const)('a tensor in %s takes as many numbers as it has', dtype => {
  scope(() => {
    const tensor = Tensor.allocate(dtype, [2, 3]);
    expect(() => tensor.write(new Float32Array(7))).toThrow('data has 7 elements, the tensor 6');
  });
});

describe.each<[string, Operation]>([
  ['embedding', operations.embedding({ n: 9, h: 33, vocab: 7, seed: 1 })],
  ['linear, a few rows', operations.linear({ n: 9, rows: 75, columns: 33, seed: 2 })],
  ['linear, many rows', operations.linear({ n: 70, rows: 75, columns: 33, seed: 3 })],
  ['LM head', operations.lmHead({ n: 9, m: 20, h: 33, vocab: 75, chunk: 16, seed: 4 })],
])('%s', (_, operation) => {
  test('with weights in bf16 is that of the rounded weights in f32', () => {
    const parameters = Object.fromEntries(
      Object.entries(operation.parameters!).map(([name, values]) => [name, byCpu(() => rounded(values))]),
    );
    const expected = byCpu(() => evaluate({ ...operation, parameters }, 'f32'));
    const inBf16: Operation = { ...operation, run: (_, ...rest) => operation.run('bf16', ...rest) };
    const actual = evaluate(inBf16, 'f32');
    expected.outputs.forEach((output, i) => {
      expectClose(actual.outputs[i], output);
    });
    for (const [name, gradient] of Object.entries(expected.gradients)) expectClose(actual.gradients[name], gradient);
  });
});

test('a weight that has changed is rounded once more, for both directions', () => {
  scope(() => {
    const { data, shape } = normal(1, 40, 30);
    const weight = Tensor.from(new Float32Array(2400), [2, 40, 30]).view(1200, shape);
    const pack = () => (['forward', 'backward'] as const).map(way => PackedWeight.of(weight, 'bf16', way));
    const [forward, backward] = pack();
    weight.write(data);
    PackedWeight.repack(weight, forward, backward);
    const [freshForward, freshBackward] = pack();
    const x = Tensor.from(normal(2, 3, 30).data, [3, 30]);
    const dy = Tensor.from(normal(3, 3, 40).data, [3, 40]);
    const backwards = (w: PackedWeight) => {
      const dx = Tensor.allocate('f32', [3, 30]);
      onGpu.linearBackward(dx.id, dy.id, w.id);
      return dx.floats();
    };
    const y = linear(undefined, x, { forward }).floats();
    expect(y.some(value => value !== 0)).toBe(true);
    expect(y).toEqual(linear(undefined, x, { forward: freshForward }).floats());
    expect(backwards(backward)).toEqual(backwards(freshBackward));
  });
});

describe('a model', () => {
  const folder = temporaryFolder(afterAll);
  const model = `${folder}/rounded`;
  beforeAll(async () => {
    const { config, tensors, close } = readCheckpoint(await writeTinyModel(`${folder}/model`, 1));
    const inBf16 = tensors.map(tensor => ({
      ...tensor,
      read: () => byCpu(() => rounded({ data: tensor.read(), shape: tensor.shape })).data.slice(),
    }));
    await writeCheckpoint(model, config, inBf16);
    close();
  });

  test('in bf16 says, samples and learns what the CPU does of the same numbers in f32', async () => {
    const work = async (device: 'cpu' | 'gpu', dtype: 'f32' | 'bf16') => {
      const engine = await LocalEngine.start({ device, dtype, cacheBytes: 1 << 20 });
      onTestFinished(() => engine.close());
      const tokens = randomTokens(30, 'text');
      const sampler = await engine.sampler(model);
      const sampled = await sampler.generate(tokens.slice(0, 9), { maxTokens: 20, seed: 1 });
      const trainer = await engine.trainer(model);
      const weights = new Float32Array(tokens.length).fill(0.1);
      const { logprobs } = await trainer.forwardBackward([{ tokens, weights }], { kind: 'cross_entropy' });
      await trainer.optimStep({ learningRate: 1e-3, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
      await trainer.save(`${folder}/${device}`, { optimizer: true });
      const saved = readCheckpoint(`${folder}/${device}`);
      const parameters = saved.tensors.map(tensor => tensor.read());
      saved.close();
      return { sampled, logprobs: logprobs[0], parameters };
    };
    const expected = await work('cpu', 'f32');
    const actual = await work('gpu', 'bf16');
    expect(actual.sampled.tokens).toEqual(expected.sampled.tokens);
    expectClose(actual.logprobs, expected.logprobs);
    // Adam's first step is of the learning rate's size, whatever the gradient's: where that is next to nothing, its sign is chance.
    expected.parameters.forEach((values, i) => {
      const differing = values.filter((value, j) => Math.abs(value - actual.parameters[i][j]) > 1e-5);
      expect(differing.length / values.length).toBeLessThan(0.01);
    });
  });

  const lora: LoraOptions = { rank: 4, alpha: 8, targets: ['q_proj', 'down_proj'], seed: 0 };
  test.each<Pick<OpenOptions, 'dtype' | 'trainable' | 'lora'>>([
    { dtype: 'f32', trainable: true },
    { dtype: 'bf16', trainable: true },
    { dtype: 'f32', trainable: false },
    { dtype: 'bf16', trainable: false },
    { dtype: 'bf16', trainable: true, lora },
  ])('takes the memory that the plan says: %j', how => {
    onGpu.trim();
    const sizes = new Map<number, number>();
    const send = vi.spyOn(gpu, 'send');
    onTestFinished(() => send.mockRestore());
    const { plan, free } = new WeightsOpener().open(model, { ...how, device: 'gpu', activationBytes: 1 << 20 });
    onGpu.trim();
    for (const [command] of send.mock.calls) {
      if (command.kind === 'allocate') sizes.set(command.buffer, command.bytes);
      if (command.kind === 'destroy') sizes.delete(command.buffer);
    }
    const held = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    free();
    const { weights, optimizer } = plan.need;
    expect(held).toBeGreaterThanOrEqual(0.99 * (weights + optimizer));
    // A buffer is a little larger than what it holds.
    expect(held).toBeLessThan(1.2 * (weights + optimizer));
  });
});

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-2);
  const worst = Array.from(expected).reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
  expect(worst).toBeLessThanOrEqual(1e-4 * largest);
}

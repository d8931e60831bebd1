import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { forwardBackward } from '../../src/engine/local/learner.ts';
import { score } from '../../src/engine/local/scorer.ts';
import { lossWeights } from '../../src/methods/aggregation.ts';
import { parseConfig } from '../../src/model/config.ts';
import { decode } from '../../src/model/decoder.ts';
import { rotaryTable, rotation } from '../../src/model/rope.ts';
import { SafetensorsFile, type StoredTensor } from '../../src/model/safetensors.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { attention, lmHeadLogits } from '../../src/tensor/ops.ts';
import { whole } from '../../src/tensor/pieces.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { loadModel, randomTokens, temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { type Parameters, referenceLogits } from './referenceDecoder.ts';

/** What transformers computed; bench/families/vectors.py says how. */
interface Expected {
  sequences: number[][];
  weights: number[][];
  logprobs: number[][];
  loss: number;
  greedy: number[];
  scalings: Record<string, Record<string, unknown>>;
}

const scalings = ['default', 'linear', 'llama3', 'yarn'];

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  expect(actual.length).toBe(expected.length);
  const numbers = Array.from(expected);
  const worst = numbers.reduce((worst, value, i) => Math.max(worst, Math.abs(actual[i] - value)), 0);
  const largest = numbers.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-3);
  expect(worst).toBeLessThanOrEqual(relative * largest);
}

const contents = ({ name, dtype, read }: StoredTensor) => [name, dtype, read()];

/** Each tensor as rows. */
function parametersOf({ tensors }: Checkpoint): Parameters {
  return new Map(
    tensors.map(({ name, shape, read }) => {
      const [values, width] = [[...read()], shape.at(-1)!];
      const rows = shape.length === 1 ? 1 : shape[0];
      return [name, Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width))];
    }),
  );
}

let engine: LocalEngine;
beforeAll(async () => {
  engine = await LocalEngine.start({ dtype: 'f32', cacheBytes: 1 << 20 });
});
afterAll(() => engine.close());

describe.each(['llama', 'qwen2', 'qwen3'])('%s as transformers computes it', family => {
  const dir = `test/vectors/${family}-tiny`;
  const expected: Expected = JSON.parse(readFileSync(join(dir, 'expected.json'), 'utf8'));
  const file = SafetensorsFile.open(join(dir, 'expected.safetensors'));
  const { tensors } = file;
  const checkpoint = readCheckpoint(dir);
  const { config } = checkpoint;
  const weights = loadWeights(checkpoint, { dtype: 'f32', trainable: true });
  const rotary = rotaryTable(config, config.maxPositions);
  const folder = temporaryFolder(afterAll);
  afterAll(() => {
    for (const resource of [weights, rotary]) resource.free();
    checkpoint.close();
    file.close();
  });

  const logitsOf = (tokens: number[], table: Tensor) =>
    scope(() => {
      const segments = Tensor.from(Int32Array.of(0, tokens.length, -1), [1, 3]);
      const positions = Int32Array.from(tokens, (_, i) => i);
      const hidden = decode(weights, table, Int32Array.from(tokens), positions, (_, qk, qkv) =>
        attention(undefined, qk, qkv, segments, config),
      );
      return lmHeadLogits(hidden, weights.head).floats();
    });

  it('gives the logits', () => {
    for (const [i, tokens] of expected.sequences.entries()) {
      expectClose(logitsOf(tokens, rotary), tensors.get(`default.${i}`)!.read(), 1e-4);
    }
  });

  it.each(scalings)('gives the logits with positions scaled: %s', scaling => {
    const { rope_parameters: _, ...raw } = config.raw;
    const rope = expected.scalings[scaling];
    const { rope_theta, rope_type, ...parameters } = rope;
    const configs = [
      { ...raw, rope_parameters: rope },
      { ...raw, rope_parameters: { full_attention: rope } },
      { ...raw, rope_theta, rope_scaling: scaling === 'default' ? null : { type: rope_type, ...parameters } },
    ].map(json => parseConfig(json));
    const [tokens] = expected.sequences;
    for (const scaled of configs) {
      const table = rotaryTable(scaled, tokens.length);
      const logits = logitsOf(tokens, table);
      table.free();
      expectClose(logits, tensors.get(`${scaling}.0`)!.read(), 1e-4);
    }
    const exact = referenceLogits(configs[0], parametersOf(checkpoint), rotation(configs[0]), tokens);
    expectClose(exact.flat(), tensors.get(`${scaling}.0`)!.read(), 1e-5);
  });

  it('gives log-probabilities, the loss and every gradient', () => {
    const asked = expected.sequences.map(tokens => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) }));
    for (const [i, { logprobs }] of whole(score(weights, rotary, asked, 4096)).entries()) {
      expectClose(logprobs.subarray(1), expected.logprobs[i], 1e-4);
    }
    const lossOf = lossWeights(expected.weights.map(weights => [0, ...weights]));
    const data = expected.sequences.map((tokens, i) => ({ tokens, weights: lossOf[i] }));
    const { loss } = whole(forwardBackward(weights, rotary, data, { kind: 'cross_entropy' }, 4096));
    expectClose([loss], [expected.loss], 1e-4);
    const { gradients, ranges } = weights.training!;
    for (const [name, { offset, shape }] of ranges) {
      const gradient = scope(() => gradients.view(offset, shape).floats());
      expectClose(gradient, tensors.get(`grad.${name}`)!.read(), 1e-3);
    }
  });

  it('is sampled, learns, is saved and loaded again with the same bits', async () => {
    const trainer = await engine.trainer(dir);
    const { greedy, sequences } = expected;
    const sampler = await trainer.sampler();
    const { tokens } = await sampler.generate(greedy.slice(0, 5), { maxTokens: greedy.length - 5, temperature: 0 });
    expect([...greedy.slice(0, 5), ...tokens]).toEqual(greedy);
    const copy = join(folder, 'copy');
    await trainer.save(copy);
    const saved = readCheckpoint(copy);
    expect(saved.config).toEqual(config);
    expect(saved.tensors.map(contents)).toEqual(checkpoint.tensors.map(contents));
    saved.close();
    const data = sequences.map(tokens => ({ tokens, weights: new Float32Array(tokens.length).fill(1) }));
    const learn = async () => {
      const { loss } = await trainer.forwardBackward(data, { kind: 'cross_entropy' });
      await trainer.optimStep({ learningRate: 1e-2, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
      return loss;
    };
    const before = await learn();
    const state = join(folder, 'state');
    await trainer.save(state, { optimizer: true });
    const after = await learn();
    expect(after).toBeLessThan(before);
    await trainer.load(state);
    expect(await learn()).toBe(after);
  });
});

describe.each(['LlamaForCausalLM', 'Qwen3ForCausalLM'])('a %s whose attention has biases', architecture => {
  it('gives the log-probabilities and the gradients of the plain decoder, and is saved with the same bits', async () => {
    const folder = temporaryFolder();
    const dir = await writeTinyModel(join(folder, 'biased'), 1, {
      architectures: [architecture],
      attention_bias: true,
    });
    const { weights, rotary } = loadModel(dir, { dtype: 'f32', trainable: true });
    const checkpoint = readCheckpoint(dir);
    const tokens = randomTokens(7);
    const parameters = parametersOf(checkpoint);
    const logprobs = () =>
      referenceLogits(checkpoint.config, parameters, rotation(checkpoint.config), tokens.slice(0, -1)).map(
        (logits, i) => {
          const largest = Math.max(...logits);
          const total = logits.reduce((sum, value) => sum + Math.exp(value - largest), 0);
          return logits[tokens[i + 1]] - largest - Math.log(total);
        },
      );
    const [scored] = whole(score(weights, rotary, [{ tokens, mask: new Uint8Array(tokens.length).fill(1) }], 4096));
    expectClose(scored.logprobs.subarray(1), logprobs(), 1e-4);

    const data = [{ tokens, weights: Float32Array.from(tokens, (_, i) => (i ? 1 : 0)) }];
    whole(forwardBackward(weights, rotary, data, { kind: 'cross_entropy' }, 4096));
    const { gradients, ranges } = weights.training!;
    const loss = () => -logprobs().reduce((sum, value) => sum + value, 0);
    for (const part of ['q', 'k', 'v', 'o']) {
      const name = `model.layers.0.self_attn.${part}_proj.bias`;
      const { offset, shape } = ranges.get(name)!;
      const gradient = scope(() => gradients.view(offset, shape).floats());
      const [bias] = parameters.get(name)!;
      const places = [0, 5, 11];
      const differences = places.map(place => {
        const [before, step] = [bias[place], 1e-5];
        const [above, below] = [before + step, before - step].map(value => {
          bias[place] = value;
          return loss();
        });
        bias[place] = before;
        return (above - below) / (2 * step);
      });
      expectClose(
        places.map(place => gradient[place]),
        differences,
        1e-3,
      );
    }

    const trainer = await engine.trainer(dir);
    await trainer.save(join(folder, 'copy'));
    const saved = readCheckpoint(join(folder, 'copy'));
    expect(saved.config).toEqual(checkpoint.config);
    expect(saved.tensors.map(contents)).toEqual(checkpoint.tensors.map(contents));
    for (const resource of [weights, rotary]) resource.free();
    for (const opened of [saved, checkpoint]) opened.close();
  });
});

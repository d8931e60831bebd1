import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  bytesOf,
  type ForwardBackwardRequest,
  floatsOf,
  forwardBackwardRequest,
  type WireDatum,
} from '../../../src/engine/tinker/messages.ts';
import { SafetensorsFile } from '../../../src/model/safetensors.ts';
import { serveTinker } from '../../../src/serve/tinker/server.ts';
import { parseRecipe, type RecipeInput } from '../../../src/train/recipe.ts';
import { train } from '../../../src/train/train.ts';
import { smallModels } from '../../madeOnce.ts';
import { startProxy } from './proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-tinker-'));
afterAll(() => rmSync(folder, { recursive: true }));
const models = await smallModels();

/**
 * Makes of training data what SkyRL's server on JAX does (its `loss_fns.py` and `jax.py`): of a sequence the sum of its tokens'
 * losses, divided by that of its weights, which are 1 where there are none; then the mean over the sequences of an update. CISPO
 * with a ratio that is held at 1 is a cross entropy with advantages for weights.
 */
function meanOf({ data, ...request }: ForwardBackwardRequest): Partial<ForwardBackwardRequest> {
  const { lossFn, lossFnConfig } = request;
  if (lossFn === 'cross_entropy') {
    const means = (weights: Float32Array) => weights.map(weight => weight / sum(weights) / data.length);
    return { ...request, data: data.map(datum => changed(datum, 'weights', 'weights', means)) };
  }
  const means = (advantages: Float32Array) => advantages.map(advantage => advantage / advantages.length / data.length);
  if (lossFn !== 'cispo')
    return { ...request, data: data.map(datum => changed(datum, 'advantages', 'advantages', means)) };
  expect(lossFnConfig).toEqual({ clip_low_threshold: 1, clip_high_threshold: 1 });
  return {
    ...request,
    lossFn: 'cross_entropy',
    lossFnConfig: {},
    data: data.map(datum => changed(datum, 'advantages', 'weights', means)),
  };
}

function changed(
  datum: WireDatum,
  from: string,
  to: string,
  change: (values: Float32Array) => Float32Array,
): WireDatum {
  const { [from]: tensor, ...others } = datum.lossFnInputs;
  const dense = bytesOf(change(floatsOf(tensor.dense)));
  return { ...datum, lossFnInputs: { ...others, [to]: { ...tensor, dense } } };
}

const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);

/** Of an adapter, by their names. */
function factorsOf(adapter: string): Map<string, Float32Array> {
  const file = SafetensorsFile.open(join(adapter, 'adapter_model.safetensors'));
  try {
    return new Map([...file.tensors].map(([name, tensor]) => [name, tensor.read()]));
  } finally {
    file.close();
  }
}

const farthest = (values: Float32Array, other?: Float32Array) =>
  values.reduce((most, value, i) => Math.max(most, Math.abs(value - (other?.[i] ?? 0))), 0);

test('sft on a server that takes means comes to the adapters of sft here', async () => {
  const state = { stateFolder: join(folder, 'state'), port: 0 };
  const server = await serveTinker({ checkpoints: [models.student], engine: { dtype: 'f32' }, ...state });
  const proxy = await startProxy(server.url, async ({ path, body }, res, forward) => {
    if (!path.endsWith('/forward_backward')) return false;
    const answer = await forward(forwardBackwardRequest.encode(meanOf(forwardBackwardRequest.decode(body))));
    res.writeHead(answer.status, answer.headers).end(answer.body);
    return true;
  });
  try {
    const input: RecipeInput = {
      method: 'sft',
      model: models.student,
      training: { demonstrations: 9, batchSize: 3, epochs: 2 },
      optimizer: { learningRate: 1e-3, clipNorm: 0 },
      lora: { rank: 4 },
    };
    const here = await train(parseRecipe({ ...input, engine: { dtype: 'f32' } }), { runDir: join(folder, 'here') });
    const engine = { kind: 'tinker' as const, url: proxy.url, dialect: 'skyrl-jax' as const };
    const there = await train(parseRecipe({ ...input, engine }), { runDir: join(folder, 'there') });
    const [expected, factors] = [here.checkpoint, join(there.checkpoint, 'adapter')].map(factorsOf);
    expect(factors.size).toBe(expected.size);
    for (const [name, values] of expected) {
      if (name.includes('lora_B')) expect(farthest(values), `${name} was zero`).toBeGreaterThan(1e-3);
      expect(farthest(values, factors.get(name)), name).toBeLessThan(1e-5);
    }
    for (const [i, { loss }] of there.metrics.entries()) expect(loss).toBeCloseTo(here.metrics[i].loss as number, 5);
  } finally {
    await proxy.close();
    await server.close();
  }
});

import { Random } from '../random.ts';
import type { Adapter, Linear, RowAdapter } from '../tensor/ops.ts';
import { PackedWeight, Tensor, unscoped } from '../tensor/tensor.ts';
import { linearMaps, tensorShapes } from './config.ts';
import { factorName, factorShapes, type LoraShape, namedFactors, type StoredFactors } from './lora.ts';
import { elements, type StoredTensor } from './safetensors.ts';
import { TrainedParameters } from './trainedParameters.ts';
import type { LayerWeights, Weights } from './weights.ts';

/**
 * The model that is trained by fresh adapters: A is drawn as PEFT draws it (Kaiming uniform with a = √5, so within 1/√columns), B is
 * zero, so that it is `base` at first. It shares the weights of `base`, whose gradients must be able to pass, and frees only its own.
 */
export function trainedAdapters(base: Weights, lora: LoraShape, seed: number): Weights {
  return unscoped(() => {
    const training = new TrainedParameters(factorShapes(base.config, lora));
    drawFactors(training, seed);
    const factor = (names: string[]) => training.linear(names, base.dtype);
    const has = (name: string) => training.ranges.has(name);
    return {
      ...withAdapters(base, has, factor, lora.alpha / lora.rank),
      training,
      free: () => training.free(),
    };
  });
}

function drawFactors(training: TrainedParameters, seed: number): void {
  for (const [name, { shape }] of training.ranges) {
    const values = new Float32Array(elements(shape));
    if (name.endsWith(factorName('', 'lora_A'))) {
      const random = Random.of(seed, 'lora', name);
      const bound = 1 / Math.sqrt(shape[1]);
      for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
    }
    training.set(name, values);
  }
}

/**
 * The model with adapters that are not trained, by the modules that have them; see `takesAdapter`. It shares the weights of `base`,
 * and frees only its own.
 */
export function frozenAdapters(base: Weights, adapters: ReadonlyMap<string, StoredFactors>): Weights {
  return unscoped(() => {
    const stored = new Map<string, { tensor: StoredTensor; scale: number }>();
    for (const [module, factors] of adapters) {
      const [[nameOfA, a], [nameOfB, b]] = namedFactors(module, factors);
      stored.set(nameOfA, { tensor: a, scale: 1 }).set(nameOfB, { tensor: b, scale: factors.scale });
    }
    const kept: PackedWeight[] = [];
    const factor = (names: string[]): Linear => {
      const forward = packed(
        names.map(name => stored.get(name)!),
        base.dtype,
      );
      kept.push(forward);
      return { forward };
    };
    return {
      ...withAdapters(base, name => stored.has(name), factor, 1),
      free() {
        for (const packed of kept) packed.free();
      },
    };
  });
}

/** Rows of a batch that are of one model, and of how many of them the output is asked for. */
export interface ModelRows {
  weights: Weights;
  rows: number;
  wanted: number;
}

/**
 * The model of a batch, for `decode` without a tape: the weights of `base` for all rows, and for each model's own rows its adapters.
 * @param models of the rows, in their order; each shares the weights of `base`
 */
export function mixedModel(base: Weights, models: readonly ModelRows[]): Weights {
  const [{ weights }] = models;
  if (models.every(other => other.weights === weights)) return weights;
  const lastLayer = base.layers.length - 1;
  const layers = base.layers.map((layer, index): LayerWeights => {
    const maps = Object.keys(linearMaps).map(name => {
      const map = name as keyof typeof linearMaps;
      // Behind the last attention there are no others than the wanted rows.
      const counted = index === lastLayer && map !== 'qkv' ? 'wanted' : 'rows';
      const runs = models.map(model => ({ adapter: model.weights.layers[index][map].adapter, rows: model[counted] }));
      return [map, { ...layer[map], rowAdapters: rowAdapters(runs) }];
    });
    return { ...layer, ...Object.fromEntries(maps) };
  });
  return { ...base, layers };
}

/** @param runs of rows, one below another, and what each has */
function rowAdapters(runs: readonly { adapter?: Adapter; rows: number }[]): RowAdapter[] {
  const parts: RowAdapter[] = [];
  let first = 0;
  for (const { adapter, rows } of runs) {
    const before = parts.at(-1);
    if (adapter && before?.adapter === adapter) before.rows += rows;
    else if (adapter && rows > 0) parts.push({ adapter, first, rows });
    first += rows;
  }
  return parts;
}

/** Matrices one below another, each multiplied by its scale. */
function packed(parts: readonly { tensor: StoredTensor; scale: number }[], dtype: 'f32' | 'bf16'): PackedWeight {
  const rows = parts.reduce((sum, { tensor }) => sum + tensor.shape[0], 0);
  const whole = Tensor.allocate('f32', [rows, parts[0].tensor.shape[1]]);
  let offset = 0;
  for (const { tensor, scale } of parts) {
    const part = whole.view(offset, tensor.shape);
    part.write(tensor.read().map(value => value * scale));
    part.free();
    offset += elements(tensor.shape);
  }
  const result = PackedWeight.of(whole, dtype, 'forward');
  whole.free();
  return result;
}

/** @param factor makes one linear map of factors, one below another */
function withAdapters(
  base: Weights,
  has: (name: string) => boolean,
  factor: (names: string[]) => Linear,
  scale: number,
): Omit<Weights, 'free'> {
  const shapes = tensorShapes(base.config);
  const adapterOf = (modules: string[]): Adapter | undefined => {
    const adapted = modules.filter(module => has(factorName(module, 'lora_A')));
    if (adapted.length === 0) return undefined;
    const down = factor(adapted.map(module => factorName(module, 'lora_A')));
    const ups: Adapter['ups'] = [];
    let [row, downRow] = [0, 0];
    for (const module of modules) {
      if (adapted.includes(module)) {
        const up = factor([factorName(module, 'lora_B')]);
        ups.push({ up, row, downRow });
        downRow += up.forward.shape[1];
      }
      row += shapes.get(`${module}.weight`)![0];
    }
    return { down, ups, scale };
  };
  const layers = base.layers.map((layer, index): LayerWeights => {
    const maps = Object.entries(linearMaps).map(([map, parts]) => {
      const adapter = adapterOf(parts.map(part => `model.layers.${index}.${part}`));
      return [map, { ...layer[map as keyof typeof linearMaps], adapter }];
    });
    return { ...layer, ...Object.fromEntries(maps) };
  });
  return { ...base, layers };
}

import { type LinearName, linearMaps, linearNames, type ModelConfig, tensorShapes } from './config.ts';
import { elements, type StoredTensor } from './safetensors.ts';

/** Adapters of low rank in the place of a model's weights: y = x Wᵀ + alpha / rank · (x Aᵀ) Bᵀ (LoRA, arXiv 2106.09685). */
export interface LoraShape {
  rank: number;
  alpha: number;
  /** The linear maps that have one, in every layer. */
  targets: readonly LinearName[];
}

type Factor = 'lora_A' | 'lora_B';

export const factorName = (module: string, factor: Factor) => `${module}.${factor}.weight`;

/** The shapes of the factors by their names: of parts that are computed together all A, then all B. */
export function factorShapes(config: ModelConfig, { rank, targets }: LoraShape): Map<string, number[]> {
  const shapes = tensorShapes(config);
  const result = new Map<string, number[]>();
  for (let layer = 0; layer < config.layers; layer++) {
    for (const parts of Object.values(linearMaps)) {
      const modules = parts
        .filter(part => targets.some(target => part.endsWith(`.${target}`)))
        .map(part => `model.layers.${layer}.${part}`);
      const shapeOf = (module: string) => shapes.get(`${module}.weight`)!;
      for (const module of modules) result.set(factorName(module, 'lora_A'), [rank, shapeOf(module)[1]]);
      for (const module of modules) result.set(factorName(module, 'lora_B'), [shapeOf(module)[0], rank]);
    }
  }
  return result;
}

/** How many numbers the factors are. */
export function factorCount(config: ModelConfig, lora: LoraShape): number {
  return [...factorShapes(config, lora).values()].reduce((sum, shape) => sum + elements(shape), 0);
}

/** The factors of one linear map, as they are stored; `scale` is what their product is multiplied by. */
export interface StoredFactors {
  a: StoredTensor;
  b: StoredTensor;
  scale: number;
}

/** Factors by their modules … */
export function factorsOf(tensors: readonly StoredTensor[], scale: number): Map<string, StoredFactors> {
  const byName = new Map(tensors.map(tensor => [tensor.name, tensor]));
  const ending = factorName('', 'lora_A');
  const modules = tensors.flatMap(({ name }) => (name.endsWith(ending) ? [name.slice(0, -ending.length)] : []));
  const get = (module: string, factor: Factor) => byName.get(factorName(module, factor))!;
  return new Map(modules.map(module => [module, { a: get(module, 'lora_A'), b: get(module, 'lora_B'), scale }]));
}

/** … and by their names. */
export function namedFactors(module: string, { a, b }: StoredFactors): [string, StoredTensor][] {
  return [
    [factorName(module, 'lora_A'), a],
    [factorName(module, 'lora_B'), b],
  ];
}

/** Whether a module, such as model.layers.0.mlp.up_proj, is computed beside what is added to it; else it has to be merged. */
export function takesAdapter(module: string): boolean {
  return linearNames.some(name => module.endsWith(`.${name}`));
}

import { sizeText } from '../bytes.ts';
import { type ModelConfig, parameterCount } from '../model/config.ts';
import { isServerUrl } from '../serverUrl.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { teachersOf } from './teachers.ts';

/** A policy that samples on a server. */
export interface PolicyPlan {
  url: string;
  /** The folder that its weights go through, how often, and how many bytes they have. */
  weights: string;
  times: number;
  bytes: number;
}

export function planPolicy({ rollout, training, init }: OnPolicyRecipe, model: ModelConfig): PolicyPlan | undefined {
  if (!rollout.server) return undefined;
  const { url, weights } = rollout.server;
  // They are written in the type that the first checkpoint has them in.
  const isWide = init !== undefined || [model.raw.torch_dtype, model.raw.dtype].includes('float32');
  return { url, weights, times: training.iterations, bytes: (isWide ? 4 : 2) * parameterCount(model) };
}

export function formatPolicyPlan({ url, weights, times, bytes }: PolicyPlan): [string, string] {
  const sizes = `${sizeText(bytes)} of weights from ${weights}, ${sizeText(times * bytes)} in ${times} iterations`;
  return ['rollouts', `sampled by ${url}, which loads ${sizes}`];
}

/** What the metrics will lack, as no server but our own tells it; undefined where that is nothing. */
export function missingMetrics(recipe: OnPolicyRecipe): string | undefined {
  const { engine } = recipe;
  if (engine.kind === 'tinker' && engine.dialect !== 'sod') {
    return `no entropies, unless ${engine.url} is sod serve --tinker: other servers tell none`;
  }
  const served = teachersOf(recipe).flatMap(({ place }) => (isServerUrl(place) ? place : []));
  if (served.length === 0) return undefined;
  return `no entropies of the teacher, unless ${served.join(' and ')} is sod serve: vLLM and SGLang tell none`;
}

import type { KeptEvaluation } from '../eval/keptEvaluations.ts';
import { hubName } from '../hubName.ts';
import { percent } from '../report/numbers.ts';
import { datasetsOf } from '../train/recipe.ts';
import type { CardFacts } from './facts.ts';
import { baseOnHub, stagesOf } from './origin.ts';

const distillations = ['sod', 'opd', 'naive-opd', 'opsd-gt', 'opsd-hint'];

/** The metadata of a model card, as the Hub reads it; keys whose values are not known are left out. */
export function frontMatter(facts: CardFacts): Record<string, unknown> {
  const { stages } = stagesOf(facts.origin);
  const { adapter } = facts;
  const base = adapter?.isOnHub ? adapter.base : baseOnHub(facts.origin);
  const datasets = stages.flatMap(({ recipe }) => datasetsOf(recipe).flatMap(({ source }) => hubName(source) ?? []));
  const isDistilled = stages.some(({ recipe }) => distillations.includes(recipe.method));
  return {
    ...(facts.license && { license: facts.license }),
    ...(base && { base_model: base, base_model_relation: adapter?.isOnHub ? 'adapter' : 'finetune' }),
    library_name: adapter ? 'peft' : 'transformers',
    pipeline_tag: 'text-generation',
    ...(stages.length && { tags: ['sod', ...(isDistilled ? ['on-policy-distillation'] : []), 'tool-use', 'agent'] }),
    ...(datasets.length && { datasets: [...new Set(datasets)] }),
    ...(facts.evaluations.length && {
      'model-index': [{ name: facts.name ?? facts.title, results: facts.evaluations.map(result) }],
    }),
  };
}

/**
 * One entry of `model-index`: task, dataset and metrics are what the Hub requires. There is no `source`, which would have
 * to be the address of a page that reports the figures.
 */
function result({ kind, name, title, dataset, tasks, settings, ...figures }: KeptEvaluation) {
  const { samples, runs, ...others } = settings;
  const metric = (type: string, metricName: string, value?: number) =>
    value === undefined ? [] : [{ type, value: percent(value), name: `${metricName}, percent` }];
  return {
    task: { type: 'text-generation' },
    dataset: {
      name: kind === 'world' ? `${title} (held-out tasks)` : title,
      type: dataset?.name ?? name,
      ...(dataset?.revision && { revision: dataset.revision }),
      args: { tasks, samples, runs, ...others, ...(dataset?.file && { file: dataset.file }) },
    },
    metrics: [
      ...metric('accuracy', `average@${samples}`, figures.average),
      ...metric(`pass@${samples}`, `pass@${samples}`, figures.passAtK),
      ...metric(`maj@${samples}`, `maj@${samples}`, figures.majorityAtK),
    ],
  };
}

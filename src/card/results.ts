import type { KeptEvaluation } from '../eval/keptEvaluations.ts';
import { percentText } from '../report/numbers.ts';
import type { CardFacts } from './facts.ts';
import { cell, count, hubLink } from './markdown.ts';

/** The section with what was measured on exactly these weights, and how. */
export function resultsSection({ evaluations, evaluationsOfOthers }: CardFacts): string {
  const leftOut =
    evaluationsOfOthers > 0
      ? ` The ${count(evaluationsOfOthers, 'evaluation')} kept beside the model ${evaluationsOfOthers === 1 ? 'is' : 'are'} of other weights and left out.`
      : '';
  if (evaluations.length === 0) {
    return `## Results\n\nNo evaluation of these weights was kept when this card was written.${leftOut}`;
  }
  const sizes = [...new Set(evaluations.map(({ settings }) => settings.samples))];
  return [
    '## Results',
    'Measured on exactly these weights, in percent.',
    ...sizes.map(samples =>
      table(
        samples,
        evaluations.filter(({ settings }) => settings.samples === samples),
      ),
    ),
    evaluations.map(settingsLine).join('\n'),
  ].join('\n\n');
}

function table(samples: number, evaluations: readonly KeptEvaluation[]): string {
  const header = ['', 'tasks', `average@${samples}`, '±', `pass@${samples}`, `maj@${samples}`, 'tool success'];
  const shown = (fraction?: number) => (fraction === undefined ? '–' : percentText(fraction, 2));
  const rows = evaluations.map(({ title, tasks, average, deviation, passAtK, majorityAtK, toolSuccessRate }) => [
    cell(title),
    String(tasks),
    ...[average, deviation, passAtK, majorityAtK, toolSuccessRate].map(shown),
  ]);
  return [header, header.map((_, i) => (i === 0 ? '---' : '--:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function settingsLine({ kind, title, tasks, settings, deviation, dataset, ...figures }: KeptEvaluation): string {
  const { samples, runs, temperature, topP, maxTurns, maxPromptTokens, maxResponseTokens, seed } = settings;
  const spread = kind === 'world' ? 'the standard error over tasks' : 'the standard deviation over the runs';
  const facts = [
    kind === 'world' ? `${count(tasks, 'held-out task')}${firstTask(settings.firstTask)}` : count(tasks, 'problem'),
    dataset && `of ${hubLink(dataset.name, 'dataset')}`,
    `${count(samples, 'sample')} each${runs > 1 ? ` in each of ${runs} runs` : ''}`,
    `temperature ${temperature}, top-p ${topP}`,
    `at most ${count(maxTurns, 'turn')} and ${maxResponseTokens} sampled and observed tokens`,
    maxPromptTokens && `prompts of at most ${maxPromptTokens} tokens`,
    settings.equivalence && `answers compared by ${settings.equivalence === 'exact' ? 'their text' : 'their values'}`,
    settings.ownPrompts && 'with other prompt templates than those of sod',
    `seed ${seed}`,
    deviation !== undefined && `± is ${spread}`,
    `${figures.toolTurns.toFixed(1)} tool calls and ${figures.responseTokens.toFixed(0)} tokens a trajectory`,
  ];
  return `- ${cell(title)}: ${facts.filter(Boolean).join('; ')}.`;
}

function firstTask(first = 0): string {
  return first > 0 ? ` from number ${first} on` : '';
}

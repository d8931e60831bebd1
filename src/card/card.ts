import { stringify } from 'yaml';
import type { AdapterFacts, CardFacts } from './facts.ts';
import { frontMatter } from './frontMatter.ts';
import { approximately, cell, hubLink } from './markdown.ts';
import { methodLabel } from './methodText.ts';
import { baseOnHub, stagesOf } from './origin.ts';
import { describe, describeAll, pipelineSection } from './pipeline.ts';
import { resultsSection } from './results.ts';
import { usageSection } from './usage.ts';

/** The model card: the README.md of a model's folder, with the metadata that the Hub reads. */
export function modelCard(facts: CardFacts): string {
  const metadata = stringify(frontMatter(facts), { lineWidth: 0 });
  const sections = [
    `# ${facts.title}`,
    introduction(facts),
    overview(facts),
    resultsSection(facts),
    pipelineSection(facts),
    usageSection(facts),
    unknownSection(facts),
    citationSection(facts),
  ];
  return `---\n${metadata}---\n\n${sections.filter(Boolean).join('\n\n')}\n`;
}

function introduction({ model, origin }: CardFacts): string {
  const last = stagesOf(origin).stages.at(-1);
  if (!last) {
    return origin.kind === 'fresh'
      ? 'A small language model with random weights: it has learned nothing yet.'
      : `A language model of the ${model.family} architecture.`;
  }
  const how = last.recipe.method === 'sod' ? 'step-wise on-policy distillation' : methodLabel(last.recipe.method);
  return `A small language-model agent: it solves tasks by calling tools. Trained with sod; the last stage of its training was ${how}.`;
}

function overview({ model, origin, adapter, license }: CardFacts): string {
  const { stages } = stagesOf(origin);
  const base = baseOnHub(origin);
  const teachers = stages.at(-1)?.teachers;
  const rows = [
    ['Base model', base ? hubLink(base) : stages.length ? describe(stagesOf(origin).root) : undefined],
    ['Teacher', teachers === 'self' ? 'the model itself, before the last stage' : teachers && describeAll(teachers)],
    ['Adapters', adapter && adaptersText(adapter)],
    ['Stages', stages.map(({ recipe }) => methodLabel(recipe.method)).join(' → ') || undefined],
    ['Parameters', `${approximately(model.parameters)} (${model.parameters.toLocaleString('en-US')})`],
    ['Architecture', `${model.family} decoder, ${model.layers} layers of width ${model.hiddenSize}`],
    ['Vocabulary', `${model.vocabulary.toLocaleString('en-US')} tokens`],
    ['Positions', `at most ${model.maxPositions.toLocaleString('en-US')}`],
    ['Weights', model.dtype],
    ['Licence', license],
  ];
  const known = rows.filter(([, value]) => value);
  return ['| | |', '|---|---|', ...known.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

function adaptersText({ base, isOnHub, rank, alpha, targets }: AdapterFacts): string {
  const facts = [
    `LoRA over ${isOnHub ? hubLink(base) : `a local model, ${cell(base)}`}`,
    rank !== undefined && `rank ${rank}`,
    `alpha ${alpha}`,
    targets.length > 0 && `on ${targets.map(cell).join(', ')}`,
  ];
  return facts.filter(Boolean).join(', ');
}

/** A reader can ask for what is not here: guesses would look like answers. */
function unknownSection({ origin, license, evaluations }: CardFacts): string {
  const { root, stages } = stagesOf(origin);
  const unknown = [
    stages.length === 0 && origin.kind !== 'fresh' && 'how the model was trained, on what, and from which base model',
    stages.length > 0 && root.kind === 'folder' && `how the model that training began with (${root.name}) was made`,
    evaluations.length === 0 && 'how well it does: there are no results for these weights',
    !license && 'its licence: ask the author, and mind that of the base model',
  ].filter(Boolean);
  if (unknown.length === 0) return '';
  return `## What this card does not know\n\n${unknown.map(what => `- ${what}`).join('\n')}`;
}

function citationSection({ origin }: CardFacts): string {
  if (stagesOf(origin).stages.length === 0) return '';
  return `## Citation

\`\`\`bibtex
@misc{sod2026,
  title         = {{SOD}: Step-wise On-policy Distillation},
  year          = {2026},
  eprint        = {2605.07725},
  archivePrefix = {arXiv},
  url           = {https://arxiv.org/abs/2605.07725}
}
\`\`\``;
}

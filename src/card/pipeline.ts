import { basename } from 'node:path';
import { stringify } from 'yaml';
import type { DatasetReference } from '../data/dataset.ts';
import { hubName } from '../hubName.ts';
import { isMethodModule } from '../methods/module.ts';
import { datasetsOf, type OnPolicyRecipe, type Recipe } from '../train/recipe.ts';
import type { CardFacts } from './facts.ts';
import { cell, count, hubLink } from './markdown.ts';
import { methodLabel, methodTitle } from './methodText.ts';
import { baseOnHub, type Origin, type Stage, stagesOf } from './origin.ts';

/** The section that says how the model was made, run by run; empty where nothing is known. */
export function pipelineSection({ origin }: CardFacts): string {
  const { root, stages } = stagesOf(origin);
  if (stages.length === 0) return '';
  const parts = [`## Training`, `It began with ${describe(root)}.`, ...stages.map(stageText)];
  const teachers = stages.flatMap(({ teachers }) => (teachers && teachers !== 'self' ? teachers : []));
  const trained = new Set(teachers.filter(({ kind }) => kind === 'run').map(teacherText));
  return [...parts, ...(trained.size ? ['### The teacher', ...trained] : [])].join('\n\n');
}

function stageText(stage: Stage, index: number): string {
  const { recipe, teachers } = stage;
  return [
    `### ${index + 1}. ${methodTitle(recipe.method)}`,
    `${[dataOf(recipe), updatesOf(stage), taughtBy(teachers)].filter(Boolean).join('; ')}.`,
    `\`\`\`yaml\n${stringify(hyperparameters(recipe), { lineWidth: 0 }).trimEnd()}\n\`\`\``,
  ].join('\n\n');
}

/** The training stages of a teacher, a line each. */
function teacherText(teacher: Origin): string {
  const { root, stages } = stagesOf(teacher);
  const lines = stages.map((stage, i) => {
    const facts = [dataOf(stage.recipe), updatesOf(stage), taughtBy(stage.teachers)].filter(Boolean);
    return `${i + 1}. ${methodTitle(stage.recipe.method)}. ${facts.join('; ')}.`;
  });
  return `It began with ${describe(root)}.\n\n${lines.join('\n')}`;
}

/** A model in words, without the folder it lies in. */
export function describe(origin: Origin): string {
  switch (origin.kind) {
    case 'hub':
      return hubLink(origin.name);
    case 'served':
      return 'a model on a server, whose making is not recorded';
    case 'fresh': {
      const { layers, hiddenSize } = origin.init;
      return `random weights (${count(layers, 'layer')} of width ${hiddenSize})`;
    }
    case 'folder': {
      const made = origin.base
        ? `made from ${hubLink(origin.base)} as its recipe says`
        : 'whose making is not recorded';
      return `a local model, ${cell(origin.name)}, ${made}`;
    }
    case 'run': {
      const base = baseOnHub(origin);
      const methods = stagesOf(origin).stages.map(({ recipe }) => methodLabel(recipe.method));
      return `a model trained by ${methods.join(', then ')}${base ? ` from ${hubLink(base)}` : ''}`;
    }
  }
}

/** Several of the same kind are told once. */
export function describeAll(origins: readonly Origin[]): string {
  return [...new Set(origins.map(describe))].join(' and ');
}

function dataOf(recipe: Recipe): string {
  const { world, training } = recipe;
  const datasets = datasetsOf(recipe);
  const demonstrations = 'demonstrations' in training && count(training.demonstrations, 'demonstration');
  const what = demonstrations ? `${datasets.length > 0 ? 'At most ' : ''}${demonstrations} of` : 'Problems of';
  if (datasets.length === 0) return `${what} the world ${cell(worldName(world))}`;
  return `${what} ${datasets.map(datasetName).join(' and ')}`;
}

function datasetName({ source, file }: DatasetReference): string {
  const name = hubName(source);
  return `${name ? hubLink(name, 'dataset') : `a dataset of its own (${cell(basename(source))})`}${file ? `, ${cell(file)}` : ''}`;
}

/** A module's path is its author's own affair. */
function worldName(world: string): string {
  return /[\\/]/.test(world) ? basename(world) : world;
}

function updatesOf({ recipe, updates, isIntermediate }: Stage): string {
  if (updates === undefined) return 'the number of updates is not recorded';
  const ahead = isIntermediate ? ', before the end of the run' : '';
  if (recipe.method === 'sft') return count(updates, 'update') + ahead;
  const { promptsPerIteration } = recipe.training as OnPolicyRecipe['training'];
  const { groupSize } = (recipe as OnPolicyRecipe).rollout;
  return `${count(updates, 'update')}${ahead}, with ${promptsPerIteration} prompts an iteration and ${groupSize} responses a prompt`;
}

function taughtBy(teachers: Stage['teachers']): string {
  if (teachers === undefined) return '';
  return teachers === 'self' ? 'the model is its own teacher' : `taught by ${describeAll(teachers)}`;
}

/** What a recipe says of the training itself: neither where things lie nor what the machine is like. */
function hyperparameters(recipe: Recipe): Record<string, unknown> {
  const { method, seed, training, optimizer, lora } = recipe;
  const adapters = lora && { lora };
  if (recipe.method === 'sft') return { method, seed, ...adapters, training, optimizer };
  const { rollout, loss, reward } = recipe as OnPolicyRecipe;
  const { concurrency: _, ...sampling } = rollout;
  const own = isMethodModule(recipe.method)
    ? { method: basename(recipe.method), seed }
    : { method, seed, [method]: recipe[recipe.method] };
  return { ...own, ...adapters, rollout: sampling, training, optimizer, loss, reward };
}

/** What supervised fine-tuning learns from: an expert's dialogues, of a world or of a dataset. */
import type { Demonstration } from '../data/layouts/dialogues.ts';
import type { Mixture } from '../data/mixture.ts';
import { privilegedMessages } from '../data/privileged.ts';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import { Random } from '../random.ts';
import type { Message } from '../text/message.ts';
import type { ToolProfile } from '../tools/profile.ts';
import { profileSchema } from '../tools/python/tool.ts';
import { toolSchema } from '../tools/schema.ts';
import type { World } from '../worlds/world.ts';
import type { SftRecipe } from './recipe.ts';

export interface Demonstrations {
  /** How many there are; absent where they have no end. */
  size?: number;
  /** The index-th, below `size`. */
  get(index: number): Promise<Demonstration>;
  /** The dataset that it is of, where there are several. */
  sourceOf?(index: number): string;
}

/**
 * The expert of a world solves its training tasks.
 * @throws UserError if it has none.
 */
export function worldDemonstrations(recipe: SftRecipe, world: World): Demonstrations {
  const { demonstrate } = world;
  if (!demonstrate) throw new UserError(`world ${world.name} has no expert to learn from: sft needs its demonstrate`);
  return {
    size: world.size,
    async get(index) {
      const task = world.task('train', index);
      const solution = await demonstrate(task, Random.of(recipe.seed, 'demonstration', index));
      return { messages: promptMessages(recipe, task, index), solution, tools: world.tools(task).map(toolSchema) };
    },
  };
}

/** The task's messages, in some of which the answer or the hint is shown. */
function promptMessages({ seed, training: { privileged } }: SftRecipe, task: Task, index: number): Message[] {
  const chance = Random.of(seed, 'privileged', index).uniform();
  if (chance >= 2 * privileged) return task.messages;
  return privilegedMessages(task, chance < privileged ? 'answer' : 'hint');
}

/** The rows of datasets. One that names no tools, and calls that of the profile, shows it in its prompt. */
export function datasetDemonstrations(rows: Mixture<Demonstration>, profile: ToolProfile): Demonstrations {
  const tool = profileSchema(profile);
  return {
    size: rows.length,
    async get(index) {
      const row = rows.read(index);
      const isMissing = row.tools.length === 0 && row.solution.some(message => callsTool(message, profile.name));
      return isMissing ? { ...row, tools: [tool] } : row;
    },
    ...(rows.names.length > 1 && { sourceOf: (index: number) => rows.nameOf(index) }),
  };
}

function callsTool(message: Message, tool: string): boolean {
  return message.role === 'assistant' && !!message.toolCalls?.some(({ name }) => name === tool);
}

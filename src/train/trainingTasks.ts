import { setImmediate } from 'node:timers/promises';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import { promptLength } from '../worlds/promptLength.ts';
import type { World } from '../worlds/world.ts';
import type { SamplingContext } from './learner.ts';
import { taskIndices } from './order.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { requiredTeacher } from './teachers.ts';

/** A batch of tasks (counted from 0), of the indices that `trainingTasks` gives: the same for every method. */
export function batchOfTasks(
  chosen: readonly number[],
  { training: { promptsPerIteration } }: OnPolicyRecipe,
  world: World,
  batch: number,
): Task[] {
  const first = batch * promptsPerIteration;
  return chosen.slice(first, first + promptsPerIteration).map(index => world.task('train', index));
}

/** So many tasks of a world without end are tried, one after the other, before it is taken for one of long prompts alone. */
const patience = 1000;

/**
 * The indices of all tasks that a run learns on, in its order: those of `taskIndices` whose prompts are not longer than the
 * recipe allows. The others are left out, and told. A function of recipe and world alone.
 * @throws UserError if too few are left, or no teacher is for one; the reason of the signal.
 */
export async function trainingTasks(
  recipe: OnPolicyRecipe,
  { world, chat, signal, onProgress, onNotice }: SamplingContext,
): Promise<number[]> {
  const { seed, training, rollout } = recipe;
  const { maxPromptTokens, refill } = rollout;
  const { iterations, promptsPerIteration, tasks = world.size, firstTask } = training;
  const total = iterations * Math.max(1, refill) * promptsPerIteration;
  const teacherOf = requiredTeacher(recipe);
  const lengths = new Map<number, number>();
  const chosen: number[] = [];
  let inVain = 0;
  for (let start = 0; chosen.length < total; start += promptsPerIteration) {
    await setImmediate();
    signal.throwIfAborted();
    const indices = taskIndices(seed, start, promptsPerIteration, tasks).map(position => firstTask + position);
    await world.prepare?.('train', indices, signal);
    for (const index of indices) {
      if (!lengths.has(index)) {
        const task = world.task('train', index);
        teacherOf(task);
        lengths.set(index, promptLength(world, task, chat));
      }
      const fits = lengths.get(index)! <= maxPromptTokens;
      if (fits) chosen.push(index);
      inVain = fits ? 0 : inVain + 1;
    }
    // The last of one epoch and the first of the next may be too long: more in a row are nearly all.
    if (inVain > 2 * (tasks ?? patience)) {
      throw new UserError(`${tooLong(lengths, maxPromptTokens, world)}: too few others are left`);
    }
    onProgress({ phase: 'prompts', done: Math.min(chosen.length, total), total });
  }
  const leftOut = tooLong(lengths, maxPromptTokens, world);
  if (leftOut) onNotice(`${leftOut}: they are left out`);
  return chosen.slice(0, total);
}

/** How many tasks, by their index, have prompts longer than the limit, and one of them; undefined where none has. */
function tooLong(lengths: ReadonlyMap<number, number>, limit: number, world: World): string | undefined {
  const long = [...lengths].filter(([, length]) => length > limit);
  if (long.length === 0) return undefined;
  const [[index, length]] = long;
  return (
    `${long.length} of ${lengths.size} tasks have prompts of more than ${limit} tokens (rollout.maxPromptTokens), ` +
    `such as ${world.task('train', index).id} with ${length}`
  );
}

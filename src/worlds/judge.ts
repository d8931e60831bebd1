import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import type { Judgement } from '../rewards/judgement.ts';
import { mathReward } from '../rewards/math.ts';
import { firstIssue } from '../schema.ts';
import type { Tool } from '../tools/tool.ts';
import type { World } from './world.ts';

const judgementSchema: z.ZodType<Judgement> = z.object({ score: z.number(), correct: z.boolean() });

/**
 * The world's verdict on what the trajectory answers; a limit that ended it leaves it without an answer.
 * @param tools the trajectory's
 * @throws UserError if the world's judge gives something else.
 */
export async function judge(
  world: World,
  task: Task,
  { end, steps }: Trajectory,
  tools: readonly Tool[] = [],
): Promise<Judgement> {
  const answer = end === 'answer' ? steps[steps.length - 1].text : '';
  if (!world.judge) return mathReward(answer, task.answer);
  const verdict = judgementSchema.safeParse(await world.judge(task, answer, tools));
  if (verdict.success) return verdict.data;
  throw new UserError(
    `world ${world.name}: its judge gives no verdict on task ${task.id}: ${firstIssue(verdict.error)}`,
  );
}

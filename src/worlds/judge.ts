import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Judgement } from '../rewards/judgement.ts';
import { mathReward } from '../rewards/math.ts';
import type { World } from './world.ts';

/** The world's verdict on what the trajectory answers; a limit that ended it leaves it without an answer. */
export async function judge(world: World, task: Task, { end, steps }: Trajectory): Promise<Judgement> {
  const answer = end === 'answer' ? steps[steps.length - 1].text : '';
  return world.judge?.(task, answer) ?? mathReward(answer, task.answer);
}

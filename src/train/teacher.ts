import type { Trajectory } from '../agent/trajectory.ts';
import { privilegedMessages } from '../data/privileged.ts';
import type { Task } from '../data/task.ts';
import type { Scorer, Scores } from '../engine/types.ts';
import type { Teacher } from '../methods/method.ts';
import type { Chat } from '../text/chat.ts';
import { toolSchema } from '../tools/schema.ts';
import type { World } from '../worlds/world.ts';
import { refuseNonFinite } from './finite.ts';
import type { SamplingContext } from './learner.ts';

/** The prompt after which a teacher of that kind scores the task's trajectories, where it is not the student's. */
export function teacherPrompt(kind: Teacher, task: Task, chat: Chat, world: World): number[] | undefined {
  if (kind === 'model') return undefined;
  const shown = kind === 'self-with-answer' ? 'answer' : 'hint';
  return chat.prompt(privilegedMessages(task, shown), world.tools(task).map(toolSchema));
}

/** What a teacher of that kind thinks of the trajectories of a task. @throws UserError where that is no number */
export async function scoreGroup(
  kind: Teacher,
  task: Task,
  group: readonly Trajectory[],
  { teacher, chat, world }: Pick<SamplingContext, 'teacher' | 'chat' | 'world'>,
): Promise<Scores[]> {
  const scores = await scoreTrajectories(teacher!, group, teacherPrompt(kind, task, chat, world));
  for (const [i, { logprobs }] of scores.entries()) refuseNonFinite('the teacher', group[i], logprobs);
  return scores;
}

/**
 * What the teacher thinks of the sampled tokens, aligned with the trajectories' own. With `prompt`, it reads them after
 * that one instead of the student's: the same ids, elsewhere in the sequence.
 */
export async function scoreTrajectories(
  teacher: Scorer,
  trajectories: readonly Trajectory[],
  prompt?: readonly number[],
): Promise<Scores[]> {
  if (!prompt) return teacher.score([...trajectories]);
  const scores = await teacher.score(
    trajectories.map(({ tokens, mask, promptTokens }) => ({
      tokens: [...prompt, ...tokens.slice(promptTokens)],
      mask: Uint8Array.from([...prompt.map(() => 0), ...mask.subarray(promptTokens)]),
    })),
  );
  return scores.map(({ logprobs, entropies }, i) => {
    const { tokens, promptTokens } = trajectories[i];
    const aligned = (values: Float32Array) => {
      const result = new Float32Array(tokens.length);
      result.set(values.subarray(prompt.length), promptTokens);
      return result;
    };
    return { logprobs: aligned(logprobs), entropies: entropies && aligned(entropies) };
  });
}

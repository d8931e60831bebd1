import type { Trajectory } from '../agent/trajectory.ts';
import { privilegedMessages } from '../data/privileged.ts';
import type { Task } from '../data/task.ts';
import type { Alternatives, Scorer, Scores } from '../engine/types.ts';
import type { Teacher } from '../methods/method.ts';
import type { Chat } from '../text/chat.ts';
import { toolSchema } from '../tools/schema.ts';
import type { World } from '../worlds/world.ts';
import { refuseNonFinite } from './finite.ts';
import type { SamplingContext } from './learner.ts';

/**
 * What a teacher of that kind thinks of the trajectories of a task.
 * @param alternatives how many of its most probable tokens it tells in the place of each
 * @throws UserError where its log-probabilities are no numbers
 */
export async function scoreGroup(
  kind: Teacher,
  task: Task,
  group: readonly Trajectory[],
  { teacher, chat, world }: Pick<SamplingContext, 'teacher' | 'chat' | 'world'>,
  alternatives = 0,
): Promise<Scores[]> {
  const scores = await scoreTrajectories(teacher!(task), group, teacherPrompt(kind, task, chat, world), alternatives);
  for (const [i, { logprobs }] of scores.entries()) refuseNonFinite('the teacher', group[i], logprobs);
  return scores;
}

/** The prompt after which a teacher of that kind scores the task's trajectories, where it is not the student's. */
function teacherPrompt(kind: Teacher, task: Task, chat: Chat, world: World): number[] | undefined {
  if (kind === 'model') return undefined;
  const shown = kind === 'self-with-answer' ? 'answer' : 'hint';
  return chat.prompt(privilegedMessages(task, shown), world.tools(task).map(toolSchema));
}

/**
 * What the teacher thinks of the sampled tokens, aligned with the trajectories' own. With `prompt`, it reads them after
 * that one instead of the student's: the same ids, elsewhere in the sequence.
 */
export async function scoreTrajectories(
  teacher: Scorer,
  trajectories: readonly Trajectory[],
  prompt?: readonly number[],
  alternatives = 0,
): Promise<Scores[]> {
  if (!prompt) return teacher.score([...trajectories], alternatives);
  const scores = await teacher.score(
    trajectories.map(({ tokens, mask, promptTokens }) => ({
      tokens: [...prompt, ...tokens.slice(promptTokens)],
      mask: Uint8Array.from([...prompt.map(() => 0), ...mask.subarray(promptTokens)]),
    })),
    alternatives,
  );
  return scores.map(({ logprobs, entropies, alternatives }, i) => {
    const { tokens, promptTokens } = trajectories[i];
    const aligned = <T extends Float32Array | Int32Array>(values: T, each: number, result: T): T => {
      result.set(values.subarray(each * prompt.length), each * promptTokens);
      return result;
    };
    const floats = (values: Float32Array, each = 1) => aligned(values, each, new Float32Array(each * tokens.length));
    const ofEach = ({ each, ...told }: Alternatives): Alternatives => ({
      each,
      tokens: aligned(told.tokens, each, new Int32Array(each * tokens.length)),
      logprobs: floats(told.logprobs, each),
    });
    return {
      logprobs: floats(logprobs),
      entropies: entropies && floats(entropies),
      ...(alternatives && { alternatives: ofEach(alternatives) }),
    };
  });
}

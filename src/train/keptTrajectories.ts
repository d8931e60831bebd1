import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Alternatives, Scores } from '../engine/types.ts';
import { patternOf } from '../methods/diagnostics.ts';
import type { GroupAdvantages, StepWeighting } from '../methods/method.ts';
import { stepWeights } from '../methods/stepwise.ts';
import { Random } from '../random.ts';
import type { Chat } from '../text/chat.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import type { KeptStep, KeptTrajectory } from './trajectoryFile.ts';

/** What an iteration came to: a task, its attempts, and what teacher and method made of them, all [P]. */
export interface Attempts {
  tasks: readonly Task[];
  groups: readonly Trajectory[][];
  scores?: readonly Scores[][];
  learned: readonly GroupAdvantages[];
}

/** The trajectories of an iteration that its run keeps, as people read them: all attempts at a share of its tasks, which the seed draws. */
export function keptTrajectories(
  { seed, save, report }: OnPolicyRecipe,
  iteration: number,
  { tasks, groups, scores, learned }: Attempts,
  chat: Chat,
): KeptTrajectory[] {
  const textOf = tokenTexts(chat);
  return groups.flatMap((group, g) => {
    if (Random.of(seed, 'kept', iteration, g).uniform() >= save.trajectories) return [];
    return group.map((trajectory, sample) => {
      const scored = scores && { scores: scores[g][sample], weighting: learned[g].steps![sample] };
      const readable = readableTrajectory(trajectory, scored, report.epsilon, textOf);
      return { ...readable, source: tasks[g].source, sample };
    });
  });
}

/** What a teacher made of a trajectory. */
interface Scored {
  scores: Scores;
  weighting: StepWeighting;
}

/** As people read it; `textOf` gives the text of a single token. */
export function readableTrajectory(
  { taskId, reward, correct, end, tokens, promptTokens, logprobs, steps }: Trajectory,
  scored: Scored | undefined,
  epsilon: number,
  textOf: (token: number) => string,
): Omit<KeptTrajectory, 'sample'> {
  const texts = (from: number, to: number) => tokens.slice(from, to).map(textOf);
  return {
    task: taskId,
    reward,
    correct,
    end,
    pattern: scored && patternOf(stepWeights(scored.weighting.divergence, { epsilon })),
    prompt: texts(0, promptTokens).join(''),
    steps: steps.map(({ start, end, text, observation, error }, k) => ({
      text,
      observation,
      error,
      ...(scored && teachersView(scored, k, start, end, logprobs)),
      ...(scored?.scores.alternatives && {
        alternatives: alternativesIn(scored.scores.alternatives, start, end, textOf),
      }),
      tokens: texts(start, end),
      logprobs: Array.from(logprobs.subarray(start, end), rounded),
    })),
  };
}

function teachersView({ scores, weighting }: Scored, k: number, start: number, end: number, logprobs: Float32Array) {
  const entropies = scores.entropies?.subarray(start, end);
  return {
    divergence: rounded(weighting.divergence[k]),
    weight: rounded(weighting.weight[k]),
    teacherEntropy: entropies && rounded(entropies.reduce((sum, entropy) => sum + entropy, 0) / entropies.length),
    gaps: Array.from(logprobs.subarray(start, end), (s, t) => rounded(scores.logprobs[start + t] - s)),
  };
}

/** Of the tokens in [start, end): the text of what the teacher finds likeliest, and how likely. */
function alternativesIn(
  { each, tokens, logprobs }: Alternatives,
  start: number,
  end: number,
  textOf: (token: number) => string,
): KeptStep['alternatives'] {
  return Array.from({ length: end - start }, (_, t) =>
    Array.from({ length: each }, (_, i) => {
      const place = (start + t) * each + i;
      return [textOf(tokens[place]), rounded(logprobs[place])];
    }),
  );
}

/** To what a person reads, and to 0 instead of −0. */
function rounded(value: number): number {
  return Number(value.toFixed(4)) + 0;
}

/** The text of single tokens, each decoded once. */
export function tokenTexts(chat: Chat): (token: number) => string {
  const texts = new Map<number, string>();
  return token => {
    const known = texts.get(token) ?? chat.decode([token]);
    texts.set(token, known);
    return known;
  };
}

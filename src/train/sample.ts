import { Document, isScalar, parse, visit } from 'yaml';
import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import { type Pattern, patternOf } from '../methods/diagnostics.ts';
import type { StepWeighting } from '../methods/method.ts';
import { stepWeights } from '../methods/stepwise.ts';
import type { Chat } from '../text/chat.ts';

const sampledStep = z.object({
  /** d_k and w_k, where a teacher scored the trajectory. */
  divergence: z.number().optional(),
  weight: z.number().optional(),
  text: z.string(),
  observation: z.string().optional(),
  error: z.string().optional(),
  /** The sampled tokens one by one, and what the teacher thinks of each: q − s, where it scored the trajectory. */
  tokens: z.array(z.string()).optional(),
  gaps: z.array(z.number()).optional(),
});
export type SampledStep = z.infer<typeof sampledStep>;

/** A trajectory as people read it, in `trajectories/*.yaml` and in reports. */
const sampledTrajectory = z.object({
  task: z.string(),
  reward: z.number(),
  correct: z.boolean(),
  end: z.enum(['answer', 'turns', 'tokens'] satisfies Trajectory['end'][]),
  /** By what SOD's step weights would be; absent where no teacher scored the trajectory. */
  pattern: z.enum(['stable', 'erroneous', 'recovery'] satisfies Pattern[]).optional(),
  steps: z.array(sampledStep),
  prompt: z.string(),
});
export type SampledTrajectory = z.infer<typeof sampledTrajectory>;

/** What a teacher made of a trajectory. */
export interface Scored {
  weighting: StepWeighting;
  teacherLogprobs: Float32Array;
}

/** How many trajectories of each pattern a sample shows. */
const shownOfEach = 2;

/**
 * Some trajectories of an iteration: the first of each pattern, the rarest pattern (recovery) first.
 * @param scored one for each trajectory, where a teacher scored them
 * @param epsilon of the step weights that the patterns go by
 */
export function sampleTrajectories(
  trajectories: readonly Trajectory[],
  scored: readonly Scored[] | undefined,
  epsilon: number,
  chat: Chat,
): SampledTrajectory[] {
  const all = trajectories.map((trajectory, i) => readable(trajectory, scored?.[i], epsilon, chat));
  const patterns: (Pattern | undefined)[] = ['recovery', 'erroneous', 'stable', undefined];
  return patterns.flatMap(pattern => all.filter(sample => sample.pattern === pattern).slice(0, shownOfEach));
}

function readable(trajectory: Trajectory, scored: Scored | undefined, epsilon: number, chat: Chat): SampledTrajectory {
  const { tokens, logprobs } = trajectory;
  const teacher = scored?.teacherLogprobs;
  return {
    task: trajectory.taskId,
    reward: trajectory.reward,
    correct: trajectory.correct,
    end: trajectory.end,
    pattern: scored && patternOf(stepWeights(scored.weighting.divergence, { epsilon })),
    steps: trajectory.steps.map(({ start, end, text, observation, error }, k) => ({
      divergence: scored && rounded(scored.weighting.divergence[k]),
      weight: scored && rounded(scored.weighting.weight[k]),
      text,
      observation,
      error,
      tokens: teacher && tokens.slice(start, end).map(token => chat.decode([token])),
      gaps: teacher && Array.from(logprobs.subarray(start, end), (s, t) => rounded(teacher[start + t] - s)),
    })),
    prompt: chat.decode(tokens.slice(0, trajectory.promptTokens)),
  };
}

/** To what a person reads, and to 0 instead of −0. */
function rounded(value: number): number {
  return Number(value.toFixed(4)) + 0;
}

/** As YAML: texts in blocks, to be read as they were said; the tokens of a step in one line. */
export function formatTrajectories(samples: readonly SampledTrajectory[]): string {
  const document = new Document(samples);
  visit(document, {
    Seq(_, sequence) {
      sequence.flow = sequence.items.every(isScalar);
      for (const item of sequence.flow ? sequence.items : []) {
        if (isScalar(item) && typeof item.value === 'string') item.type = 'QUOTE_DOUBLE';
      }
    },
  });
  return document.toString({ blockQuote: 'literal', lineWidth: 0, doubleQuotedMinMultiLineLength: 1000 });
}

/** What `formatTrajectories` wrote; undefined where the text is another, or not all of it. */
export function parseTrajectories(text: string): SampledTrajectory[] | undefined {
  try {
    return z.array(sampledTrajectory).parse(parse(text));
  } catch {
    return undefined;
  }
}

import type { Journal } from './journal.ts';
import { majority, mean, passAtK, standardDeviation } from './metrics.ts';
import type { Sample } from './sample.ts';
import { placeNumber, type SamplingSettings } from './sampling.ts';

/** Over the runs; `std` with n − 1, undefined for one run. */
export interface Figure {
  mean: number;
  std?: number;
}

/** How a model did on a benchmark; all fractions are in [0, 1]. */
export interface Summary {
  tasks: number;
  /** average@samples: the mean accuracy over all samples. */
  average: Figure;
  /** By k: at least one of k samples is right, estimated without bias. */
  passAtK: Record<number, Figure>;
  /** The most frequent of the answers to a task is right; absent where answers are programs. */
  majority?: Figure;
  /** Calls a trajectory that were answered. */
  toolTurns: Figure;
  /** Share of those that were answered without an error; absent where there was none. */
  toolSuccessRate?: Figure;
  responseTokens: Figure;
  /** Share of trajectories that the limit of tokens ended. */
  truncated: Figure;
  /** The average of each run. */
  averages: number[];
}

/** Whether two answers are the same one. */
export type SameAnswer = (a: string, b: string) => Promise<boolean>;

/** Makes the figures from a complete journal. @param vote how answers are compared; absent where there is no vote */
export async function summarize(
  journal: Journal<Sample>,
  tasks: number,
  settings: SamplingSettings,
  vote?: SameAnswer,
): Promise<Summary> {
  const runs: RunSummary[] = [];
  for (let run = 0; run < settings.runs; run++) runs.push(await summarizeRun(journal, run, tasks, settings, vote));
  const over = (value: (run: RunSummary) => number): Figure => {
    const values = runs.map(value);
    return { mean: mean(values), std: standardDeviation(values) };
  };
  return {
    tasks,
    average: over(run => run.average),
    passAtK: Object.fromEntries(someOf(settings.samples).map((k, i) => [k, over(run => run.passAtK[i])])),
    majority: vote && over(run => run.majority),
    toolTurns: over(run => run.toolTurns),
    toolSuccessRate: runs.some(run => run.toolTurns > 0) ? over(run => run.toolSuccessRate) : undefined,
    responseTokens: over(run => run.responseTokens),
    truncated: over(run => run.truncated),
    averages: runs.map(run => run.average),
  };
}

interface RunSummary
  extends Record<'average' | 'majority' | 'toolTurns' | 'toolSuccessRate' | 'responseTokens' | 'truncated', number> {
  passAtK: number[];
}

async function summarizeRun(
  journal: Journal<Sample>,
  run: number,
  tasks: number,
  settings: SamplingSettings,
  vote?: SameAnswer,
): Promise<RunSummary> {
  const ks = someOf(settings.samples);
  const passes = ks.map(() => 0);
  const sum = { correct: 0, majority: 0, calls: 0, failedCalls: 0, tokens: 0, truncated: 0 };
  for (let task = 0; task < tasks; task++) {
    const group = Array.from({ length: settings.samples }, (_, sample) =>
      journal.read(placeNumber({ run, task, sample }, tasks, settings.samples)),
    );
    const correct = group.filter(sample => sample.correct).length;
    for (const [i, k] of ks.entries()) passes[i] += passAtK(settings.samples, correct, k);
    if (vote) sum.majority += majority(await byClass(group, vote));
    sum.correct += correct;
    for (const { calls, failedCalls, tokens, end } of group) {
      sum.calls += calls;
      sum.failedCalls += failedCalls;
      sum.tokens += tokens;
      if (end === 'tokens') sum.truncated++;
    }
  }
  const trajectories = tasks * settings.samples;
  return {
    average: sum.correct / trajectories,
    passAtK: passes.map(pass => pass / tasks),
    majority: sum.majority / tasks,
    toolTurns: sum.calls / trajectories,
    toolSuccessRate: sum.calls === 0 ? 1 : 1 - sum.failedCalls / sum.calls,
    responseTokens: sum.tokens / trajectories,
    truncated: sum.truncated / trajectories,
  };
}

/** 1, 2, 4, … and all samples. */
function someOf(samples: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(samples)) + 1 }, (_, i) => 2 ** i);
  return [...new Set([...powers, samples])];
}

/** The samples, the answer of each put as the first one said it that gave the same. */
async function byClass(group: readonly Sample[], same: SameAnswer): Promise<{ answer?: string; correct: boolean }[]> {
  const classes: string[] = [];
  const votes: { answer?: string; correct: boolean }[] = [];
  for (const { answer, correct } of group) {
    votes.push({ answer: answer === undefined ? undefined : await classOf(answer, classes, same), correct });
  }
  return votes;
}

async function classOf(answer: string, classes: string[], same: SameAnswer): Promise<string> {
  if (classes.includes(answer)) return answer;
  for (const known of classes) if (await same(known, answer)) return known;
  classes.push(answer);
  return answer;
}

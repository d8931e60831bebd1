import type { Trajectory } from './trajectory.ts';

/** Numbers of each step, where a teacher scored the trajectory. */
export interface StepNumbers {
  /** d_k. */
  divergence: ArrayLike<number>;
  /** w_k. */
  weight: ArrayLike<number>;
}

const ends = { answer: 'answered', turns: 'ended by the turn limit', tokens: 'ended by the token limit' };

/** A trajectory as Markdown for people: what the policy said, what it was told, and the outcome. */
export function transcript(trajectory: Trajectory, prompt: string, numbers?: StepNumbers): string {
  const { taskId, steps, end, reward, correct } = trajectory;
  const sections = steps.map(({ start, end, text, observation, error }, k) => {
    const facts = [`${end - start} tokens`];
    if (numbers) facts.push(`d = ${numbers.divergence[k].toFixed(3)}`, `w = ${numbers.weight[k].toFixed(2)}`);
    const said = `## Step ${k + 1} (${facts.join(', ')})\n\n${fenced(text)}`;
    if (observation === undefined) return said;
    return `${said}\n\n### Observation${error ? ` (${error})` : ''}\n\n${fenced(observation)}`;
  });
  const outcome = `${correct ? 'correct' : 'wrong'}, reward ${reward}, ${ends[end]}`;
  return [`# ${taskId}: ${outcome}`, `## Prompt\n\n${fenced(prompt)}`, ...sections].join('\n\n').concat('\n');
}

/** A code block whose fence is longer than any in the text, so that the text cannot end it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(ticks => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text.replace(/\n$/, '')}\n${fence}`;
}

import { cutMiddle } from '../../tools/middleCut.ts';
import type { KeptStep, KeptTrajectory } from '../../train/trajectoryFile.ts';

/** Of a prompt, of what was said in a step, and of what came back for it. */
const mostChars = 4096;

/** A trajectory as Markdown, in which nothing that was said is Markdown. */
export function trajectoryText({ task, reward, correct, prompt, steps }: KeptTrajectory): string {
  const title = `task ${task}, reward ${Number(reward.toFixed(4))}, ${correct ? 'correct' : 'wrong'}`;
  return [`${literal(title)}\n\nprompt:`, literal(prompt), ...steps.flatMap(stepText)].join('\n\n');
}

function stepText({ text, observation, error, divergence, weight }: KeptStep, k: number): string[] {
  const numbers = divergence === undefined ? '' : `, d ${divergence}, w ${weight}`;
  const said = [`step ${k + 1}${numbers}:`, literal(text)];
  return observation === undefined ? said : [...said, error ? 'error:' : 'answer:', literal(observation)];
}

/** As a block of code: four spaces before each line. */
function literal(text: string): string {
  return cutMiddle(text, mostChars).replace(/^/gm, '    ');
}

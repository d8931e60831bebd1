/** A sampled trajectory laid out step by step: what was said, what the tools answered, and what the teacher thought of it. */
import type { KeptStep, KeptTrajectory } from '../train/trajectoryFile.ts';
import { escapeHtml } from './chart.ts';
import { tokenShade } from './tokenShade.ts';

export function trajectoryHtml({ prompt, steps }: KeptTrajectory): string {
  return `<div class="card"><pre class="observation">${escapeHtml(question(prompt))}</pre><ol class="steps">${steps
    .map(stepHtml)
    .join('')}</ol></div>`;
}

/** What the colours of tokens mean. */
export const tokenLegend =
  'Tokens are shaded by how much more <span class="more" style="--a:.5">(blue)</span> or less ' +
  '<span class="less" style="--a:.5">(red)</span> probable the teacher finds them than the student did.';

function stepHtml(step: KeptStep, k: number): string {
  const { text, observation, error, divergence, weight } = step;
  const numbers =
    divergence === undefined || weight === undefined
      ? ''
      : `<div class="weight" style="width:${Math.round((Math.min(weight, 1.2) / 1.2) * 100)}%"></div>w ${weight.toFixed(2)}<br>d ${divergence.toFixed(3)}`;
  const answer =
    observation === undefined
      ? ''
      : `<pre class="observation${error ? ' error' : ''}">${escapeHtml(observation.trim())}</pre>`;
  return `<li><div class="numbers">step ${k + 1}${numbers}</div>
<div><pre>${step.gaps ? shaded(step.tokens, step.gaps) : escapeHtml(text.trim())}</pre>${answer}</div></li>`;
}

function shaded(tokens: readonly string[], gaps: readonly number[]): string {
  return tokens
    .map((token, t) => {
      const shade = tokenShade(gaps[t]);
      if (!shade) return escapeHtml(token);
      const { side, strength } = shade;
      return `<span class="${side}" style="--a:${strength.toFixed(2)}" title="${gaps[t]}">${escapeHtml(token)}</span>`;
    })
    .join('');
}

/** The last user message of a prompt in the ChatML format, or the whole prompt in another. */
export function question(prompt: string): string {
  return prompt.split('<|im_start|>user\n').at(-1)!.split('<|im_end|>')[0].trim();
}

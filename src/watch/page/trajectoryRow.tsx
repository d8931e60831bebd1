/** What a trajectory is in short, wherever it is listed. */
import type { JSX } from 'preact';
import type { TrajectoryRow } from '../api.ts';
import { count, shownText } from './text.tsx';

export function RowTags({ row: { correct, pattern, errors, source } }: { row: TrajectoryRow }): JSX.Element {
  return (
    <span class="tags">
      <span class={`tag ${correct ? 'right' : 'wrong'}`}>{correct ? '✓ right' : '✗ wrong'}</span>
      {pattern && <span class={`tag ${pattern}`}>{pattern}</span>}
      {errors > 0 && <span class="tag wrong">{many(errors, 'tool error')}</span>}
      {source && <bdi class="tag">{shownText(source)}</bdi>}
    </span>
  );
}

/** Which attempt it is. */
export function placeName({ iteration, sample }: TrajectoryRow): string {
  return `iteration ${iteration}, attempt ${sample + 1}`;
}

export function figuresOf({ reward, divergence, steps, tokens }: TrajectoryRow): string {
  const figures = [
    `reward ${reward.toFixed(2)}`,
    ...(divergence === undefined ? [] : [`largest d ${divergence.toFixed(3)}`]),
    many(steps, 'step'),
    many(tokens, 'token'),
  ];
  return figures.join(' · ');
}

function many(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? '' : 's'}`;
}

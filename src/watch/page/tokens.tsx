/** What was said in a step, each token shaded by what the teacher thought of it; its numbers under the pointer, or by arrow keys. */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { KeptStep } from '../../train/trajectoryFile.ts';
import { count, ShowAll, Shown, shownText } from './text.tsx';
import { tokenShade } from './tokenShade.ts';

/** So many tokens are shown of a step that has more. */
const SHOWN_TOKENS = 2_000;

export function Tokens({ step, label }: { step: KeptStep; label: string }): JSX.Element {
  const { tokens } = step;
  const [isWhole, setWhole] = useState(tokens.length <= 1.25 * SHOWN_TOKENS);
  const [at, setAt] = useState<number | undefined>();
  const shown = isWhole ? tokens.length : SHOWN_TOKENS;
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    setAt(Math.max(0, Math.min(shown - 1, at === undefined ? 0 : at + by)));
    event.preventDefault();
  };
  const pointAt = ({ target }: Event) => {
    const token = (target as HTMLElement).closest<HTMLElement>('[data-t]')?.dataset.t;
    if (token !== undefined) setAt(Number(token));
  };
  return (
    <>
      <section
        class="tokens"
        dir="auto"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows move in it, as the pointer does
        tabIndex={0}
        aria-label={`${label}: arrows go from one to the next`}
        onKeyDown={onKeyDown}
        onPointerOver={pointAt}
        onPointerDown={pointAt}
        onBlur={() => setAt(undefined)}
        onPointerLeave={() => setAt(undefined)}
      >
        <Spans step={step} shown={shown} at={at} />
        {!isWhole && <ShowAll what={`${count(tokens.length)} tokens`} show={() => setWhole(true)} />}
      </section>
      <p class="soft token-numbers" role="status">
        {at === undefined ? '' : numbersOf(step, at)}
      </p>
    </>
  );
}

function Spans({ step: { tokens, gaps }, shown, at }: { step: KeptStep; shown: number; at?: number }): JSX.Element {
  const spans = useMemo(
    () => tokens.slice(0, shown).map((token, t) => <Token key={t} t={t} token={token} gap={gaps?.[t]} />),
    [tokens, gaps, shown],
  );
  if (at === undefined) return <>{spans}</>;
  return (
    <>
      {spans.slice(0, at)}
      <Token key={at} t={at} token={tokens[at]} gap={gaps?.[at]} isCurrent />
      {spans.slice(at + 1)}
    </>
  );
}

interface TokenProps {
  t: number;
  token: string;
  gap?: number;
  isCurrent?: boolean;
}

function Token({ t, token, gap, isCurrent = false }: TokenProps): JSX.Element {
  const shade = gap === undefined ? undefined : tokenShade(gap);
  const classes = [shade?.side, isCurrent && 'current'].filter(Boolean).join(' ');
  return (
    <span data-t={t} class={classes} style={shade && { '--a': shade.strength.toFixed(2) }}>
      <Shown text={token} />
    </span>
  );
}

/** In words: the probability by the student, by the teacher, and how far they are apart. */
function numbersOf({ tokens, logprobs, gaps, alternatives }: KeptStep, t: number): string {
  const student = `student ${probability(logprobs[t])}`;
  const name = quoted(tokens[t]);
  const gap = gaps?.[t];
  if (gap === undefined) return `${name}: ${student}`;
  const best = alternatives?.[t].map(([token, logprob]) => `${quoted(token)} ${probability(logprob)}`);
  return [
    `${name}: ${student}, teacher ${probability(logprobs[t] + gap)}, q − s ${gap < 0 ? '−' : '+'}${Math.abs(gap).toFixed(2)} nats`,
    ...(best ? [`the teacher's likeliest: ${best.join(', ')}`] : []),
  ].join('; ');
}

function quoted(token: string): string {
  return `“${shownText(token).replaceAll('\n', '↵')}”`;
}

function probability(logprob: number): string {
  const percents = 100 * Math.min(1, Math.exp(logprob));
  return `${percents >= 10 ? percents.toFixed(0) : percents.toPrecision(2)} %`;
}

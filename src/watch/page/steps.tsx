/** The steps of a trajectory: what was said, what the tools answered, and what each step counted. */
import type { JSX } from 'preact';
import { NEAR_START } from '../../methods/diagnostics.ts';
import type { KeptStep, KeptTrajectory } from '../../train/trajectoryFile.ts';
import { LongText, shownText } from './text.tsx';
import { Tokens } from './tokens.tsx';

/** Weights are drawn up to here. */
const HIGHEST_WEIGHT = 1.2;

/** @param name of the list: unique on the page */
export function Steps({ trajectory: { steps }, name }: { trajectory: KeptTrajectory; name: string }): JSX.Element {
  const turns = turnsOf(steps);
  return (
    <>
      <Strip steps={steps} turns={turns} name={name} />
      <ol class="steps">
        {steps.map((step, k) => (
          <li key={k} id={`${name}-${k + 1}`} tabIndex={-1}>
            <Numbers step={step} k={k} turn={turns[k]} />
            <div>
              <Tokens step={step} label={`Tokens of step ${k + 1}`} />
              <Answer step={step} />
            </div>
          </li>
        ))}
      </ol>
    </>
  );
}

type Turn = 'fell' | 'returned' | undefined;

/** Where the weight fell away from 1, and where it came back. */
function turnsOf(steps: readonly KeptStep[]): Turn[] {
  const isNear = steps.map(({ weight = 1 }) => weight >= NEAR_START);
  return isNear.map((near, k) => {
    const before = k === 0 || isNear[k - 1];
    if (near === before) return undefined;
    return near ? 'returned' : 'fell';
  });
}

/** All steps at a glance; each leads to its own. */
function Strip({ steps, turns, name }: { steps: readonly KeptStep[]; turns: Turn[]; name: string }): JSX.Element {
  return (
    <nav class="strip" aria-label="Steps">
      {steps.map((step, k) => (
        <button key={k} type="button" onClick={() => goTo(`${name}-${k + 1}`)} aria-label={nameOf(step, k, turns[k])}>
          <span class="column">
            <i class="weight" style={{ height: `${share(step.weight ?? 1)}%` }} />
          </span>
          <span class={step.error === undefined ? '' : 'problem'}>{k + 1}</span>
        </button>
      ))}
    </nav>
  );
}

function goTo(id: string): void {
  const step = document.getElementById(id)!;
  step.scrollIntoView({ block: 'start' });
  step.focus({ preventScroll: true });
}

function nameOf({ weight, divergence, error }: KeptStep, k: number, turn: Turn): string {
  return [
    `Step ${k + 1}`,
    ...(weight === undefined ? [] : [`weight ${weight.toFixed(2)}`]),
    ...(divergence === undefined ? [] : [`divergence ${divergence.toFixed(3)}`]),
    ...(turn ? [`the weight ${turn}`] : []),
    ...(error === undefined ? [] : [`tool error`]),
  ].join(', ');
}

function share(weight: number): number {
  return (100 * Math.min(Math.max(0, weight), HIGHEST_WEIGHT)) / HIGHEST_WEIGHT;
}

/** What the colours of tokens mean. */
export function TokenLegend(): JSX.Element {
  return (
    <p class="soft hint">
      Tokens are shaded by how much{' '}
      <span class="more" style={{ '--a': 0.5 }}>
        more (blue)
      </span>{' '}
      or{' '}
      <span class="less" style={{ '--a': 0.5 }}>
        less (red)
      </span>{' '}
      probable the teacher finds them than the student did. Point at one for its numbers; or Tab to a step, then arrows.
    </p>
  );
}

function Numbers({ step, k, turn }: { step: KeptStep; k: number; turn: Turn }): JSX.Element {
  const { weight, divergence, teacherEntropy } = step;
  return (
    <div class="numbers">
      <strong>step {k + 1}</strong>
      {weight !== undefined && (
        <>
          <span class="track">
            <i class="weight" style={{ width: `${share(weight)}%` }} />
          </span>
          <span>w {weight.toFixed(2)}</span>
        </>
      )}
      {divergence !== undefined && <span>d {divergence.toFixed(3)}</span>}
      {teacherEntropy !== undefined && (
        <span title="Mean entropy of the teacher, in nats">H {teacherEntropy.toFixed(2)}</span>
      )}
      {turn && <span class={`tag ${turn}`}>{turn === 'fell' ? '↓ fell' : '↑ returned'}</span>}
    </div>
  );
}

function Answer({ step: { observation, error } }: { step: KeptStep }): JSX.Element | null {
  if (observation === undefined) return null;
  return (
    <div class={error === undefined ? 'answer' : 'answer error'}>
      <span class="soft">{error === undefined ? 'tool' : `tool error: ${shownText(error)}`}</span>
      <LongText text={observation.trim()} />
    </div>
  );
}

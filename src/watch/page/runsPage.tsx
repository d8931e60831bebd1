/** All runs in the folders that are watched, and the tables of comparisons. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { asPercent, duration } from '../../report/numbers.ts';
import { colorOfMethod } from '../../report/palette.ts';
import type { RunSummary } from '../api.ts';
import { plain } from './chart.tsx';
import { ComparisonTable } from './comparison.tsx';
import type { PageProps } from './pageProps.ts';
import { linkTo } from './route.ts';
import { Sparkline } from './sparkline.tsx';
import { shownText } from './text.tsx';

export function RunsPage({ watched: { runs, tables } }: PageProps): JSX.Element {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const toggle = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter(other => other !== id) : [...chosen, id]);
  const newest = runs?.toSorted((a, b) => order(a) - order(b) || b.changed - a.changed);
  return (
    <>
      <div class="heading">
        <h1>Runs</h1>
        <Together chosen={chosen} />
      </div>
      {newest?.length === 0 && (
        <p class="soft">There is no run in the folders that are watched yet. One that starts appears here by itself.</p>
      )}
      <ul class="runs">
        {newest?.map(run => (
          <RunCard key={run.id} run={run} isChosen={chosen.includes(run.id)} toggle={() => toggle(run.id)} />
        ))}
      </ul>
      {tables.map(({ name, table }) => (
        <ComparisonTable key={name} name={name} table={table} runs={runs ?? []} />
      ))}
    </>
  );
}

/** Those under way first. */
function order({ state }: RunSummary): number {
  return state === 'running' ? 0 : 1;
}

function Together({ chosen }: { chosen: readonly string[] }): JSX.Element {
  return chosen.length < 2 ? (
    <span class="soft">Choose two or more to lay their curves over each other.</span>
  ) : (
    <a class="button" href={linkTo('run', { run: chosen })}>
      Lay {chosen.length} over each other
    </a>
  );
}

function RunCard({ run, isChosen, toggle }: { run: RunSummary; isChosen: boolean; toggle: () => void }): JSX.Element {
  const { id, name, method, curve, problem } = run;
  const color = colorOfMethod(method);
  const title = shownText(name);
  const [figure, what] = figureOf(run);
  return (
    <li class="card run">
      <div class="run-name">
        <input type="checkbox" aria-label={`Choose ${title}`} checked={isChosen} onChange={toggle} />
        <a href={linkTo('run', { run: id })}>
          <bdi>{title}</bdi>
        </a>
      </div>
      <State run={run} />
      {problem === undefined ? <Progress run={run} color={color} /> : <p class="problem">{shownText(problem)}</p>}
      <div class="figures">
        <span class="figure">
          {figure} <small>{what}</small>
        </span>
        <Sparkline values={curve.values} color={color} name={what} />
      </div>
      <p class="links">
        <a href={linkTo('run', { run: id })}>Curves</a>
        {run.trajectories > 0 && <a href={linkTo('trajectories', { run: id })}>Trajectories</a>}
      </p>
    </li>
  );
}

/** What people look at first, and what it is. */
function figureOf({ accuracy, curve: { metric, values } }: RunSummary): [figure: string, what: string] {
  const last = values.at(-1);
  if (metric === 'loss') return [last === undefined ? '–' : plain(last), 'loss'];
  return [accuracy === undefined ? '–' : asPercent(accuracy), 'right answers'];
}

function State({ run: { state, method } }: { run: RunSummary }): JSX.Element {
  return (
    <p class="tags">
      {method && (
        <span class="tag">
          <i class="swatch" style={{ background: `var(--${colorOfMethod(method)})` }} />
          {method}
        </span>
      )}
      <span class={`tag ${state}`}>{state === 'unreadable' ? 'cannot be read' : state}</span>
    </p>
  );
}

function Progress({ run, color }: { run: RunSummary; color: string }): JSX.Element {
  const { iteration, iterations, secondsLeft } = run;
  const left = secondsLeft === undefined ? '' : `, ${timeLeft(secondsLeft)} left`;
  const text = `${iteration} of ${iterations} iterations${left}`;
  return (
    <div class="progress">
      <progress
        value={iteration}
        max={Math.max(1, iterations)}
        aria-label={text}
        style={{ color: `var(--${color})` }}
      />
      <span class="soft">{text}</span>
    </div>
  );
}

function timeLeft(seconds: number): string {
  return seconds < 3 * 3600 ? duration(seconds) : `${Math.round(seconds / 3600)} h`;
}

/** One attempt at a task, step by step, another beside it, and all that there are. */
import type { JSX } from 'preact';
import type { TrajectoryRow, TrajectoryView } from '../api.ts';
import { Asked } from './asked.tsx';
import type { PageProps } from './pageProps.ts';
import { choose, linkTo, type Route } from './route.ts';
import { getTrajectory, useFetched } from './server.ts';
import { Steps, TokenLegend } from './steps.tsx';
import { shownText } from './text.tsx';
import { figuresOf, placeName, RowTags } from './trajectoryRow.tsx';

export function TrajectoryPage({ route, watched: { runs } }: PageProps): JSX.Element {
  const run = route.params.get('run') ?? '';
  const iterations = runs?.find(({ id }) => id === run)?.trajectories ?? 0;
  const [iteration, index] = ['iteration', 'index'].map(name => Number(route.params.get(name)));
  const [besideIteration, besideIndex] = (route.params.get('beside') ?? '').split('/').map(Number);
  const { value: view, problem } = useTrajectory(run, iteration, index, iterations);
  const beside = useTrajectory(run, besideIteration, besideIndex, 0);
  const isBeside = route.params.has('beside');
  return (
    <>
      <div class="heading">
        <h1>
          Trajectory <bdi class="soft">{view && shownText(view.row.task)}</bdi>
        </h1>
      </div>
      {problem && <p class="problem">{shownText(problem)}</p>}
      {view && (
        <>
          <Asked prompt={view.trajectory.prompt} />
          {view.trajectory.steps.some(({ gaps }) => gaps) && <TokenLegend />}
          <div class={isBeside ? 'side-by-side' : ''}>
            <Attempt view={view} name="steps" />
            {isBeside && beside.value && <Attempt view={beside.value} name="steps-beside" />}
          </div>
          {isBeside && beside.problem && <p class="problem">{shownText(beside.problem)}</p>}
          <Attempts route={route} run={run} view={view} />
        </>
      )}
    </>
  );
}

/** @param version changes where there may be more attempts than before */
function useTrajectory(run: string, iteration: number, index: number, version: number) {
  const key = [run, iteration, index, version].join('/');
  return useFetched<TrajectoryView | undefined>(key, async signal =>
    Number.isInteger(index) ? getTrajectory(run, iteration, index, signal) : undefined,
  );
}

function Attempt({ view: { row, trajectory }, name }: { view: TrajectoryView; name: string }): JSX.Element {
  return (
    <section aria-label={placeName(row)}>
      <p class="attempt-facts">
        <RowTags row={row} />
        <span class="soft row-figures">
          {placeName(row)} · {figuresOf(row)}
        </span>
      </p>
      <Steps key={`${row.iteration}/${row.index}`} trajectory={trajectory} name={name} />
    </section>
  );
}

/** The same task's other attempts, earlier and later ones among them. */
function Attempts({ route, run, view }: { route: Route; run: string; view: TrajectoryView }): JSX.Element {
  const beside = route.params.get('beside');
  return (
    <section>
      <h2>Attempts at this task</h2>
      <ol class="attempts">
        {view.attempts.map(row => (
          <li key={placeOf(row)} class="card" aria-current={placeOf(row) === placeOf(view.row) ? 'true' : undefined}>
            <a href={linkTo('trajectory', { run, iteration: row.iteration, index: row.index })}>{placeName(row)}</a>
            <RowTags row={row} />
            <span class="soft row-figures">{figuresOf(row)}</span>
            {placeOf(row) !== placeOf(view.row) && (
              <button
                type="button"
                class="quiet"
                aria-pressed={beside === placeOf(row)}
                onClick={() => choose(route, { beside: beside === placeOf(row) ? undefined : placeOf(row) })}
              >
                Beside
              </button>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

function placeOf({ iteration, index }: TrajectoryRow): string {
  return `${iteration}/${index}`;
}

/** The curves of a run, or of several laid over each other. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import {
  type ChartContent,
  chartsTogether,
  type DrawnRun,
  errorCharts,
  patternChart,
  speedChart,
  stepCharts,
  teacherChart,
  timeCharts,
} from '../../report/charts.ts';
import { hasColor, spareColors } from '../../report/palette.ts';
import { ChartHint, Charts, smoothing } from './charts.tsx';
import type { PageProps } from './pageProps.ts';
import { choose, type Route } from './route.ts';
import type { Watched } from './server.ts';
import { RecipeOf, ShownRuns } from './shownRuns.tsx';
import { shownText } from './text.tsx';

/** A run that is watched, as it is drawn. */
interface WatchedRun extends DrawnRun {
  id: string;
}

export function RunPage({ route, watched, theme }: PageProps): JSX.Element {
  const ids = route.params.getAll('run');
  const runs = useDrawn(ids, watched);
  const together = useMemo(() => [...chartsTogether(runs), speedChart(runs)], [runs]);
  const each = useMemo(() => runs.map(chartsOf), [runs]);
  const asked = route.params.get('smooth');
  const smooth = asked ? Number(asked) : smoothing(together);
  return (
    <>
      <div class="heading">
        <h1>{ids.length === 1 ? (runs[0] ? runs[0].name : 'Run') : `${ids.length} runs`}</h1>
        <Smoothing smooth={smooth} route={route} />
      </div>
      <ShownRuns ids={ids} runs={runs} watched={watched} route={route} />
      {ids.map(id => (
        <RecipeOf key={id} id={id} name={runs.length > 1 ? runs.find(run => run.id === id)?.name : undefined} />
      ))}
      <ChartHint />
      <Charts charts={together} smooth={smooth} group="together" theme={theme} />
      {runs.map((run, i) => (
        <section key={run.id}>
          {runs.length > 1 && (
            <h2>
              <i class="swatch" style={{ background: `var(--${run.color})` }} /> {run.name}
            </h2>
          )}
          <Charts charts={each[i]} smooth={smooth} group="together" theme={theme} />
        </section>
      ))}
    </>
  );
}

/** What is drawn of each run by itself. */
function chartsOf(run: DrawnRun): ChartContent[] {
  return [teacherChart(run), patternChart(run), ...stepCharts(run), ...errorCharts(run), ...timeCharts(run)];
}

function Smoothing({ smooth, route }: { smooth: number; route: Route }): JSX.Element {
  return (
    <label class="slider">
      Smoothing
      <input
        type="range"
        min="1"
        max="50"
        value={smooth}
        onInput={event => choose(route, { smooth: event.currentTarget.value })}
      />
      <output>{smooth === 1 ? 'none' : `over ${smooth}`}</output>
    </label>
  );
}

/** The runs of which something is known, each in a colour of its own. */
function useDrawn(ids: readonly string[], { runs, metrics }: Watched): WatchedRun[] {
  const names = ids.map(id => runs?.find(run => run.id === id));
  return useMemo(() => {
    const taken = new Set<string>();
    return ids.flatMap((id, i) => {
      const run = names[i];
      if (!run || !metrics[id]) return [];
      const color = freeColor(run.method, taken);
      taken.add(color);
      return [{ id, name: shownText(run.name), color, seeds: [metrics[id]] }];
    });
  }, [names.map(run => `${run?.name}\t${run?.method}`).join('\n'), ids.join('\n'), ...ids.map(id => metrics[id])]);
}

function freeColor(method: string, taken: ReadonlySet<string>): string {
  if (hasColor(method) && !taken.has(method)) return method;
  return spareColors.find(color => !taken.has(color)) ?? 'vanilla';
}

/** The curves of a run, or of several laid over each other. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { smoothing } from '../../report/curves.ts';
import { hasColor, spareColors } from '../../report/palette.ts';
import { Chart } from './chart.tsx';
import { chartsOf, chartsTogether, type DrawnRun } from './metricCharts.ts';
import type { PageProps } from './pageProps.ts';
import { choose, type Route } from './route.ts';
import type { Watched } from './server.ts';
import { RecipeOf, ShownRuns } from './shownRuns.tsx';
import { shownText } from './text.tsx';

export function RunPage({ route, watched, theme }: PageProps): JSX.Element {
  const ids = route.params.getAll('run');
  const runs = useDrawn(ids, watched);
  const together = useMemo(() => chartsTogether(runs), [runs]);
  const each = useMemo(() => runs.map(run => ({ run, charts: chartsOf(run) })), [runs]);
  const asked = route.params.get('smooth');
  const smooth = asked ? Number(asked) : smoothing(together[0].lines);
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
      <p class="soft hint">
        Drag over a chart to zoom in, double-click to see all; or, by keyboard, arrows, + and −, Escape.
      </p>
      <div class="charts">
        {together.map(content => (
          <Chart key={content.title} {...content} smooth={smooth} group="together" theme={theme} />
        ))}
      </div>
      {each.map(({ run, charts }) => (
        <section key={run.id}>
          {each.length > 1 && (
            <h2>
              <i class="swatch" style={{ background: `var(--${run.color})` }} /> {run.name}
            </h2>
          )}
          <div class="charts">
            {charts.map(content => (
              <Chart
                key={content.title}
                {...content}
                smooth={content.xLabel === 'step' ? 1 : smooth}
                group={content.xLabel === 'step' ? content.title : 'together'}
                theme={theme}
              />
            ))}
          </div>
        </section>
      ))}
    </>
  );
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
function useDrawn(ids: readonly string[], { runs, metrics }: Watched): DrawnRun[] {
  const names = ids.map(id => runs?.find(run => run.id === id));
  return useMemo(() => {
    const taken = new Set<string>();
    return ids.flatMap((id, i) => {
      const run = names[i];
      if (!run || !metrics[id]) return [];
      const color = freeColor(run.method, taken);
      taken.add(color);
      return [{ id, name: shownText(run.name), color, lines: metrics[id] }];
    });
  }, [names.map(run => `${run?.name}\t${run?.method}`).join('\n'), ids.join('\n'), ...ids.map(id => metrics[id])]);
}

function freeColor(method: string, taken: ReadonlySet<string>): string {
  if (hasColor(method) && !taken.has(method)) return method;
  return spareColors.find(color => !taken.has(color)) ?? 'vanilla';
}

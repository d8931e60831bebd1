/** Which runs are laid over each other, how they stand, and what they were started with. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Metrics } from '../../train/runDirectory.ts';
import type { RunSummary } from '../api.ts';
import { choose, linkTo, type Route } from './route.ts';
import { getRecipe, useFetched, type Watched } from './server.ts';
import { LongText, shownText } from './text.tsx';

/** Which runs are shown, what is wrong with them, and which can be added. */
export function ShownRuns({
  ids,
  runs,
  watched,
  route,
}: {
  ids: string[];
  runs: readonly { id: string; color: string }[];
  watched: Watched;
  route: Route;
}): JSX.Element {
  const others = (watched.runs ?? []).filter(({ id }) => !ids.includes(id));
  return (
    <div class="shown-runs">
      {ids.map(id => {
        const summary = watched.runs?.find(run => run.id === id);
        const color = runs.find(run => run.id === id)?.color;
        const name = summary ? shownText(summary.name) : 'unknown run';
        return (
          <span key={id} class="tag">
            {color && <i class="swatch" style={{ background: `var(--${color})` }} />}
            <bdi>{name}</bdi>
            {summary && <Facts summary={summary} lines={watched.metrics[id] ?? []} />}
            {summary?.problem && <em class="problem">{shownText(summary.problem)}</em>}
            {ids.length > 1 && (
              <a href={linkTo('run', { run: ids.filter(other => other !== id) })} aria-label={`Take ${name} away`}>
                ×
              </a>
            )}
          </span>
        );
      })}
      {others.length > 0 && (
        <select
          aria-label="Lay another run over"
          value=""
          onChange={event => choose(route, { run: [...ids, event.currentTarget.value] })}
        >
          <option value="">Lay another over …</option>
          {others.map(({ id, name }) => (
            <option key={id} value={id}>
              {shownText(name)}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

function Facts({
  summary: { state, iteration, iterations },
  lines,
}: {
  summary: RunSummary;
  lines: Metrics[];
}): JSX.Element {
  const outside = lines.at(-1)?.outOfBand;
  return (
    <>
      <span class="soft">
        {state}, {iteration} of {iterations}
      </span>
      {Array.isArray(outside) && <em class="problem">out of its band: {outside.join(', ')}</em>}
    </>
  );
}

/** As the run was started: every default is written out. */
export function RecipeOf({ id, name }: { id: string; name?: string }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const { value, problem } = useFetched(`${id} ${isOpen}`, async signal => (isOpen ? getRecipe(id, signal) : ''));
  return (
    <details onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>Recipe {name && <bdi>of {name}</bdi>}</summary>
      {problem && <p class="problem">{shownText(problem)}</p>}
      {isOpen && value && <LongText text={value} className="card" />}
    </details>
  );
}

/** The trajectories that a run has kept: filtered, sorted, searched. */
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { mostHits, type TrajectoryRow } from '../api.ts';
import { Filters, queryOf } from './filters.tsx';
import type { PageProps } from './pageProps.ts';
import { linkTo } from './route.ts';
import { count, shownText } from './text.tsx';
import { figuresOf, placeName, RowTags } from './trajectoryRow.tsx';
import { useRows, useSearch } from './trajectoryRows.ts';
import { VirtualList } from './virtualList.tsx';

const [ROW_HEIGHT, HIT_HEIGHT] = [54, 98];

export function TrajectoriesPage({ route, watched: { runs } }: PageProps): JSX.Element {
  const id = route.params.get('run') ?? '';
  const run = runs?.find(each => each.id === id);
  const query = queryOf(route.params);
  const text = route.params.get('text') ?? '';
  return (
    <>
      <div class="heading">
        <h1>
          Trajectories <bdi class="soft">{run && shownText(run.name)}</bdi>
        </h1>
      </div>
      <Filters route={route} />
      {text ? (
        <Found run={id} query={query} text={text} />
      ) : (
        <All run={id} query={query} iterations={run?.trajectories ?? 0} />
      )}
    </>
  );
}

function All({ run, query, iterations }: { run: string; query: string; iterations: number }): JSX.Element {
  const [sight, setSight] = useState<readonly [number, number]>([0, 0]);
  const version = useWhile(sight[0] === 0, iterations);
  const { total, count: known, row, problem } = useRows(run, query, version, sight);
  return (
    <>
      <p class="soft" role="status">
        {total === undefined ? 'Looking …' : `${count(total)} ${total === 1 ? 'trajectory' : 'trajectories'}`}
      </p>
      {problem && <p class="problem">{shownText(problem)}</p>}
      <VirtualList
        key={query}
        label="Trajectories"
        count={known}
        rowHeight={ROW_HEIGHT}
        row={index => <Row row={row(index)} />}
        link={index => linkOf(run, row(index))}
        onSight={(first, last) => setSight([first, last])}
      />
    </>
  );
}

function Found({ run, query, text }: { run: string; query: string; text: string }): JSX.Element {
  const { hits, isDone, problem } = useSearch(run, query, text);
  return (
    <>
      <p class="soft" role="status">
        {hits.length < mostHits ? '' : 'The first '}
        {count(hits.length)} found{isDone ? '' : ', searching …'}
      </p>
      {problem && <p class="problem">{shownText(problem)}</p>}
      <VirtualList
        key={`${query}\n${text}`}
        label="Trajectories found"
        count={hits.length}
        rowHeight={HIT_HEIGHT}
        row={index => <Row row={hits[index].row} excerpt={hits[index].excerpt} />}
        link={index => linkOf(run, hits[index]?.row)}
      />
    </>
  );
}

function Row({ row, excerpt }: { row?: TrajectoryRow; excerpt?: string }): JSX.Element {
  if (!row) return <span class="soft">…</span>;
  return (
    <>
      <span class="row-head">
        <bdi class="task">{shownText(row.task)}</bdi>
        <RowTags row={row} />
      </span>
      <span class="soft row-figures">
        {placeName(row)} · {figuresOf(row)}
      </span>
      {excerpt !== undefined && <bdi class="excerpt">{shownText(excerpt)}</bdi>}
    </>
  );
}

function linkOf(run: string, row: TrajectoryRow | undefined): string | undefined {
  return row && linkTo('trajectory', { run, iteration: row.iteration, index: row.index });
}

/** The newest value of the times when something holds: while it does not, nothing moves under the reader's eyes. */
function useWhile<T>(holds: boolean, value: T): T {
  const kept = useRef(value);
  if (holds) kept.current = value;
  return kept.current;
}

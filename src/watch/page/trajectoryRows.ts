/** The rows of a list of trajectories, fetched as they come into sight, or as a search finds them. */
import { useEffect, useState } from 'preact/hooks';
import type { SearchHit, TrajectoryRow } from '../api.ts';
import { listTrajectories, searchTrajectories } from './server.ts';

/** Rows that are fetched at once. */
const PAGE = 100;

interface Pages {
  key: string;
  total?: number;
  /** By number. */
  rows: Record<number, TrajectoryRow[]>;
  problem?: string;
}

export interface Rows {
  /** Undefined until it is known. */
  total?: number;
  row: (index: number) => TrajectoryRow | undefined;
  problem?: string;
}

/**
 * The trajectories of a run that fit a query. What came for another query stays until something comes for this one.
 * @param version changes where the run has more of them than before
 * @param sight first and last row that are looked at
 */
export function useRows(run: string, query: string, version: number, [first, last]: readonly [number, number]): Rows {
  const key = `${run}?${query}#${version}`;
  const [pages, setPages] = useState<Pages>({ key: '', rows: {} });
  const [from, to] = [first, Math.max(first, last)].map(index => Math.floor(index / PAGE));
  useEffect(() => {
    const known = pages.key === key ? pages.rows : {};
    const wanted = Array.from({ length: to - from + 1 }, (_, i) => from + i).filter(page => !known[page]);
    if (wanted.length === 0) return undefined;
    const controller = new AbortController();
    const fetching = wanted.map(page => {
      const part = new URLSearchParams(query);
      part.set('offset', String(page * PAGE));
      part.set('limit', String(PAGE));
      return listTrajectories(run, part, controller.signal);
    });
    Promise.all(fetching).then(
      lists => {
        const rows = Object.fromEntries(lists.map((list, i) => [wanted[i], list.rows]));
        setPages(before => ({ key, total: lists[0].total, rows: { ...(before.key === key && before.rows), ...rows } }));
      },
      (error: Error) => {
        if (!controller.signal.aborted) setPages(before => ({ ...before, problem: error.message }));
      },
    );
    return () => controller.abort();
  }, [key, from, to]);
  const row = (index: number) => pages.rows[Math.floor(index / PAGE)]?.[index % PAGE];
  return { total: pages.total, row, problem: pages.problem };
}

interface Hits {
  hits: SearchHit[];
  isDone: boolean;
  problem?: string;
}

const none: Hits = { hits: [], isDone: false };

/** What a search finds, the first at once; nothing where there is no text to search for. */
export function useSearch(run: string, query: string, text: string): Hits {
  const [found, setFound] = useState(none);
  useEffect(() => {
    setFound(none);
    if (!text) return undefined;
    const controller = new AbortController();
    const wanted = new URLSearchParams(query);
    wanted.set('text', text);
    const read = async () => {
      for await (const hit of searchTrajectories(run, wanted, controller.signal)) {
        setFound(before => ({ ...before, hits: [...before.hits, hit] }));
      }
    };
    read().then(
      () => setFound(before => ({ ...before, isDone: true })),
      (error: Error) => {
        if (!controller.signal.aborted) setFound(before => ({ ...before, isDone: true, problem: error.message }));
      },
    );
    return () => controller.abort();
  }, [run, query, text]);
  return found;
}

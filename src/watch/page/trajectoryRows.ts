/** The rows of a list of trajectories, fetched as they come into sight, or as a search finds them. */
import { useEffect, useState } from 'preact/hooks';
import type { SearchHit, TrajectoryRow } from '../api.ts';
import { countTrajectories, listTrajectories, searchTrajectories } from './server.ts';

/** Rows that are fetched at once. */
const PAGE = 100;

interface Pages {
  /** Of the run and the query. */
  key: string;
  version?: number;
  /** Undefined until they are counted. */
  total?: number;
  /** By number. */
  rows: Record<number, TrajectoryRow[]>;
  problem?: string;
}

export interface Rows {
  total?: number;
  /** So many are there at least. */
  count: number;
  row: (index: number) => TrajectoryRow | undefined;
  problem?: string;
}

/**
 * The trajectories of a run that fit a query. What came for another query stays until something comes for this one; how many there
 * are is asked once the first are there.
 * @param version changes where the run has more of them than before
 * @param sight first and last row that are looked at
 */
export function useRows(run: string, query: string, version: number, [first, last]: readonly [number, number]): Rows {
  const key = `${run}?${query}`;
  const [pages, setPages] = useState<Pages>({ key: '', rows: {} });
  const [from, to] = [first, Math.max(first, last)].map(index => Math.floor(index / PAGE));
  const isOf = (pages: Pages) => pages.key === key && pages.version === version;
  const isKnown = isOf(pages);
  const asking = (ask: (signal: AbortSignal) => Promise<unknown>) => {
    const controller = new AbortController();
    ask(controller.signal).catch((error: Error) => {
      if (!controller.signal.aborted) setPages(before => ({ ...before, problem: error.message }));
    });
    return () => controller.abort();
  };
  useEffect(() => {
    const known = isKnown ? pages.rows : {};
    const wanted = Array.from({ length: to - from + 1 }, (_, i) => from + i).filter(page => !known[page]);
    if (wanted.length === 0) return undefined;
    return asking(async signal => {
      const lists = await Promise.all(wanted.map(page => listTrajectories(run, partOf(query, page), signal)));
      const rows = Object.fromEntries(lists.map((list, i) => [wanted[i], list]));
      setPages(before => ({
        key,
        version,
        total: before.key === key ? before.total : undefined,
        rows: { ...(isOf(before) && before.rows), ...rows },
      }));
    });
  }, [key, version, from, to]);
  useEffect(() => {
    if (!isKnown) return undefined;
    return asking(async signal => {
      const total = await countTrajectories(run, query, signal);
      setPages(before => ({ ...before, total }));
    });
  }, [key, version, isKnown]);
  const count =
    pages.total ?? Math.max(0, ...Object.entries(pages.rows).map(([page, { length }]) => Number(page) * PAGE + length));
  const row = (index: number) => pages.rows[Math.floor(index / PAGE)]?.[index % PAGE];
  return { total: pages.total, count, row, problem: pages.problem };
}

function partOf(query: string, page: number): URLSearchParams {
  const part = new URLSearchParams(query);
  part.set('offset', String(page * PAGE));
  part.set('limit', String(PAGE));
  return part;
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

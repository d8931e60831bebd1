/** What the page asks of its server. */
import { useEffect, useState } from 'preact/hooks';
import type { Metrics } from '../../train/runDirectory.ts';
import type {
  ChatAnswer,
  ChatRequest,
  RunSummary,
  SearchHit,
  Table,
  TrajectoryRow,
  TrajectoryView,
  WatchEvent,
} from '../api.ts';

/** @throws Error with the server's reason if it refuses. */
async function ask(path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, { ...init, signal });
  if (!response.ok) throw new Error(await refusal(response));
  return response;
}

async function refusal(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error?: string | { message?: string } };
    return (typeof error === 'string' ? error : error?.message) ?? text;
  } catch {
    return text || `${response.status} ${response.statusText}`;
  }
}

function of(run: string, what: string): string {
  return `/api/runs/${encodeURIComponent(run)}/${what}`;
}

export async function getRecipe(run: string, signal: AbortSignal): Promise<string> {
  return (await ask(of(run, 'recipe'), signal)).text();
}

export async function listTrajectories(
  run: string,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<TrajectoryRow[]> {
  return (await ask(of(run, `trajectories?${query}`), signal)).json();
}

/** How many fit a query. */
export async function countTrajectories(run: string, query: string, signal: AbortSignal): Promise<number> {
  return (await ask(of(run, `trajectories/count?${query}`), signal)).json();
}

export async function getTrajectory(
  run: string,
  iteration: number,
  index: number,
  signal: AbortSignal,
): Promise<TrajectoryView> {
  return (await ask(of(run, `trajectories/${iteration}/${index}`), signal)).json();
}

/** Trajectories with a text in them, as they are found. */
export async function* searchTrajectories(
  run: string,
  query: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<SearchHit> {
  const response = await ask(of(run, `search?${query}`), signal);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunksOf(response.body!)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line) yield JSON.parse(line) as SearchHit;
  }
}

export async function askModel(run: string, request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
  const headers = { 'content-type': 'application/json' };
  return (await ask(of(run, 'chat'), signal, { method: 'POST', headers, body: JSON.stringify(request) })).json();
}

/** Not every browser can iterate over a stream. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Where the request was aborted there is nothing left to cancel.
    reader.cancel().catch(() => {});
  }
}

interface Fetched<T> {
  value?: T;
  problem?: string;
}

/** What a request brings, asked for again when `key` changes; until then, and while it fails, what it brought before. */
export function useFetched<T>(key: string, fetching: (signal: AbortSignal) => Promise<T>): Fetched<T> {
  const [fetched, setFetched] = useState<Fetched<T>>({});
  useEffect(() => {
    const controller = new AbortController();
    fetching(controller.signal).then(
      value => setFetched({ value }),
      (error: Error) => {
        if (!controller.signal.aborted) setFetched(({ value }) => ({ value, problem: error.message }));
      },
    );
    return () => controller.abort();
  }, [key]);
  return fetched;
}

/** What is known of the runs that are watched, and of the metrics of those that are shown. */
export interface Watched {
  runs?: readonly RunSummary[];
  tables: readonly Table[];
  metrics: Record<string, Metrics[]>;
  /** Whether what changes arrives. */
  isLive: boolean;
}

const nothing: Watched = { tables: [], metrics: {}, isLive: true };

/** All runs, and the metrics of the runs shown, as they grow: a page that nobody sees lets go of its connection, of which a browser has few. */
export function useWatched(shown: readonly string[]): Watched {
  const [watched, setWatched] = useState(nothing);
  const isSeen = useIsSeen();
  useEffect(() => {
    if (!isSeen) return undefined;
    const source = new EventSource(`/api/events?${new URLSearchParams(shown.map(run => ['run', run]))}`);
    source.onopen = () => setWatched(before => ({ ...before, isLive: true }));
    source.onerror = () => setWatched(before => ({ ...before, isLive: false }));
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as WatchEvent;
      setWatched(before => after(before, event));
    };
    return () => source.close();
  }, [shown.join('\n'), isSeen]);
  return watched;
}

function useIsSeen(): boolean {
  const [isSeen, setSeen] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setSeen(!document.hidden);
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return isSeen;
}

function after(before: Watched, event: WatchEvent): Watched {
  if (event.kind === 'runs') return { ...before, runs: event.runs };
  if (event.kind === 'tables') return { ...before, tables: event.tables };
  const lines = [...(before.metrics[event.run] ?? []).slice(0, event.from), ...event.lines];
  return { ...before, metrics: { ...before.metrics, [event.run]: lines } };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { FetchLike } from '@modelcontextprotocol/client';

/** The first pause where a server does not say how long; each further one is twice as long. */
const firstPauseMs = 250;

/** Whether a server was too busy to look at a request. */
export function isBusy(status: number): boolean {
  return status === 429 || status === 503;
}

/**
 * A fetch that asks busy servers again when they say (Retry-After), or with growing pauses; where they want to be left alone for
 * longer than a request may take, their refusal is the answer.
 * @param limitMs most time from the first question to the last
 */
export function patientFetch(limitMs: number): FetchLike {
  return async (url, init) => {
    const end = performance.now() + limitMs;
    for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
      const response = await fetch(url, init);
      if (!isBusy(response.status)) return response;
      const waitMs = retryAfterMs(response.headers.get('retry-after')) ?? pauseMs;
      if (performance.now() + waitMs >= end) return response;
      await response.body?.cancel();
      await sleep(waitMs, undefined, { signal: init?.signal ?? undefined });
    }
  };
}

/** Of a header with seconds, or a date. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\s*\d+\s*$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

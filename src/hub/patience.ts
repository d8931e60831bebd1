import { setTimeout as sleep } from 'node:timers/promises';
import { Unreachable } from './request.ts';
import type { Hub } from './source.ts';

/** Failures in a row, with nothing gained between them, after which it is over. */
const mostFailures = 5;
/** The Hub counts requests over 5 minutes. */
const longestWaitMs = 300_000;

/**
 * Tries again what failed as unreachable: at once if the try gained something, else at doubling intervals or when the
 * server asks for it. `gained` tells how far the work has come; tries that get no farther than others before are failures.
 * @throws the last error
 */
export async function patiently<T>(
  { onNotice, signal }: Hub,
  work: () => Promise<T>,
  { gained = () => 0, tries = mostFailures }: { gained?: () => number; tries?: number } = {},
): Promise<T> {
  let failures = 0;
  let farthest = gained();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      failures = gained() > farthest ? 0 : failures + 1;
      farthest = Math.max(farthest, gained());
      if (failures === tries) throw error;
      const { message, retryAfterMs } = error;
      const waitMs = Math.min(retryAfterMs ?? (failures && 250 * 2 ** failures), longestWaitMs);
      if (retryAfterMs) onNotice?.(`${message}: trying again in ${Math.ceil(waitMs / 1000)} s, as it asks`);
      await sleep(waitMs, undefined, { signal });
    }
  }
}

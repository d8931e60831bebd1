import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';

/**
 * Refuses longer bodies. Where a body says how long it is, which Node holds it to, nothing else is looked at: Hono's own limit
 * makes a web Request of each, which takes longer than reading it.
 * @param refuse throws
 */
export function sizeLimit(mostBytes: number, refuse: () => never): MiddlewareHandler {
  const whileReading = bodyLimit({ maxSize: mostBytes, onError: refuse });
  return async (c, next) => {
    const length = c.req.header('content-length');
    if (length === undefined || c.req.header('transfer-encoding') !== undefined) return whileReading(c, next);
    if (Number(length) > mostBytes) refuse();
    await next();
  };
}

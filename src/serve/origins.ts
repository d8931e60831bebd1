import { BlockList, isIP } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { ApiError } from './apiError.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/**
 * Keeps web pages of others out, for every server that is started here. A page can make its reader's browser ask servers of the
 * reader's own machine, either as itself (its `Origin` tells), or by a name of its own that leads to 127.0.0.1 (`Host` tells).
 * What it may send without asking first is refused as well: a body that is not called JSON.
 * @param allowed origins such as `https://example.org` whose pages may ask, and by whose host's name the server may be asked; `*`: all
 * @param name a further name of this machine
 * @param types of bodies, beside JSON; pages have to ask before they send one
 */
export function keepOut(allowed: readonly string[], name?: string, types: readonly string[] = []): MiddlewareHandler {
  const everybody = allowed.includes('*');
  const names = new Set([name, ...allowed.map(hostOf)]);
  const isAllowed = (origin: string, c: Context) =>
    everybody || allowed.includes(origin) || (isLocal(c) && isLoopback(hostOf(origin) ?? ''));
  const answerPages = cors({
    origin: (origin, c) => (isAllowed(origin, c) ? origin : null),
    exposeHeaders: ['x-request-id'],
  });
  const isName = (host: string) => {
    const hostname = hostOf(`http://${host}`) ?? '';
    return isLoopback(hostname) || names.has(hostname);
  };
  /** What the server was asked as last: clients ask by one name, and it is read once. */
  let known: string | undefined;
  return async (c, next) => {
    const [host, type] = [c.req.header('host') ?? '', c.req.header('content-type') ?? ''];
    const origin = c.req.header('origin');
    if (host !== known && isLocal(c) && !everybody) {
      if (!isName(host)) {
        throw forbidden(`This server is asked as ${JSON.stringify(host)}, which is no name of this machine.`);
      }
      known = host;
    }
    if (origin !== undefined && !isAllowed(origin, c)) {
      throw forbidden(`Pages of ${JSON.stringify(origin)} may not ask this server.`);
    }
    if (c.req.method === 'POST' && !/^application\/json *(;|$)/i.test(type) && !types.includes(type)) {
      throw new ApiError(415, 'Send JSON, and the header "content-type: application/json".', {
        code: 'unsupported_media_type',
      });
    }
    return origin === undefined ? next() : answerPages(c, next);
  };
}

function forbidden(message: string): ApiError {
  return new ApiError(403, `${message} Whoever started it can allow it by --allow-origin.`, {
    code: 'origin_not_allowed',
  });
}

/** Whether the request came to an address that only this machine reaches. */
export function isLocal(c: Context): boolean {
  const { localAddress = '' } = (c.env as HttpBindings).incoming.socket;
  return isLoopback(localAddress);
}

function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  const version = isIP(address);
  if (version === 4) return address.startsWith('127.');
  if (version === 6) return loopback.check(address, 'ipv6');
  return /^([^.]+\.)*localhost\.?$/.test(host);
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

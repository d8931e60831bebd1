import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '../../src/random.ts';

export const faults = ['busy', 'failed', 'unavailable', 'refused', 'cut before', 'cut within', 'garbage'] as const;
export type Fault = (typeof faults)[number];

export interface FaultyProxy {
  url: string;
  /** How often each fault was made. */
  made: Map<Fault, number>;
  /** What happens to the next request; without a fault it is passed on. */
  next: () => Fault | undefined;
  close(): Promise<void>;
}

/** So many of all requests meet a fault, drawn by chance. */
export function sometimes(random: Random, share: number): () => Fault | undefined {
  return () => (random.uniform() < share ? faults[random.below(faults.length)] : undefined);
}

/** Passes requests on to a server at `target`, and lets some of them fail. */
export async function faultyProxy(target: string): Promise<FaultyProxy> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', chunk => chunks.push(chunk));
    incoming.on('end', () => {
      const fault = proxy.next();
      if (fault) proxy.made.set(fault, (proxy.made.get(fault) ?? 0) + 1);
      if (fault && fail(outgoing, fault)) return;
      const { method, headers, url } = incoming;
      const passed = request(target + url, { method, headers }, answer => {
        if (fault !== 'cut within' && fault !== 'garbage') {
          outgoing.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(outgoing);
          return;
        }
        const body: Buffer[] = [];
        answer.on('data', chunk => body.push(chunk));
        answer.on('end', () => {
          const whole = Buffer.concat(body);
          const half = whole.subarray(0, whole.length / 2);
          const isCut = fault === 'cut within';
          outgoing.writeHead(answer.statusCode!, {
            'content-type': answer.headers['content-type'],
            'content-length': isCut ? whole.length : half.length,
          });
          outgoing.write(half, () => (isCut ? outgoing.destroy() : outgoing.end()));
        });
      });
      passed.on('error', () => outgoing.destroy());
      passed.end(Buffer.concat(chunks));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultyProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    made: new Map(),
    next: () => undefined,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

/** @returns whether the request has been answered by that */
function fail(outgoing: ServerResponse, fault: Fault): boolean {
  const answer = (status: number, message: string, headers = {}) => {
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
    outgoing.end(JSON.stringify({ error: { message } }));
    return true;
  };
  switch (fault) {
    case 'busy':
      return answer(429, 'come back later', { 'retry-after': '0' });
    case 'failed':
      return answer(500, 'something went wrong');
    case 'unavailable':
      return answer(503, 'still loading');
    case 'refused':
      outgoing.writeHead(502, { 'content-type': 'text/html' });
      outgoing.end('<html>Bad Gateway</html>');
      return true;
    case 'cut before':
      outgoing.destroy();
      return true;
    default:
      return false;
  }
}

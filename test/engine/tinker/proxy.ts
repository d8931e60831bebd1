import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What a server answered. */
export interface Answered {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/**
 * Stands before a server and passes on what comes.
 * @param take may deal with a request itself, and then says so; `forward` sends it on, with another body where one is given
 */
export async function startProxy(
  target: string,
  take: (
    sent: { path: string; body: Buffer },
    res: ServerResponse,
    forward: (body?: Uint8Array) => Promise<Answered>,
  ) => Promise<boolean>,
) {
  const server = createServer(async (req, res) => {
    const sent = await buffer(req).catch(() => undefined);
    if (!sent) return;
    const forward = (body: Uint8Array = sent) => forwarded(target, req, body);
    try {
      if (await take({ path: req.url!, body: sent }, res, forward)) return;
      const { status, headers, body } = await forward();
      res.writeHead(status, headers).end(body);
    } catch {
      res.destroy();
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function forwarded(target: string, req: IncomingMessage, sent: Uint8Array): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const { host: _, 'content-length': _2, ...headers } = req.headers;
    const ahead = request(`${target}${req.url}`, { method: req.method, headers }, async answer => {
      try {
        const { connection: _, 'keep-alive': _2, 'transfer-encoding': _3, ...headers } = answer.headers;
        resolve({ status: answer.statusCode!, headers, body: await buffer(answer) });
      } catch (error) {
        reject(error);
      }
    });
    ahead.on('error', reject);
    ahead.end(sent);
  });
}

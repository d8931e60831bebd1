import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { UserError } from '../errors.ts';

/** Time for a client to send its whole request. */
const requestTimeoutMs = 30_000;
const maxConnections = 4096;
/** Longer than clients and proxies keep a connection: who closes first must not be the one who is about to be asked. */
const keepAliveTimeoutMs = 75_000;

/** An error as a server tells it. */
type Refusal = (status: number, message: string) => object;

/**
 * Answers HTTP by `fetch` on an address.
 * @param port 0: any that is free
 * @param refusal the body of the answer to what is no HTTP
 * @throws UserError where the address cannot be taken
 */
export async function listen(
  fetch: Parameters<typeof getRequestListener>[0],
  host: string,
  port: number,
  refusal: Refusal,
): Promise<{ server: Server; url: string }> {
  const server = createServer(
    { requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveTimeoutMs },
    getRequestListener(fetch),
  );
  server.maxConnections = maxConnections;
  server.on('clientError', (error, socket) => refuseGarbage(error, socket as Socket, refusal));
  return { server, url: await listening(server, host, port) };
}

function listening(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'another program has that port; give another --port'
          : error.code === 'EACCES'
            ? 'this user may not take that port; take one above 1023'
            : error.message;
      reject(new UserError(`cannot listen on ${host}:${port}: ${why}`));
    });
    server.listen(port, host, () => {
      const address = server.address() as AddressInfo;
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      resolve(`http://${name}:${address.port}`);
    });
  });
}

/** What is no HTTP at all, or too much of it, is answered in the same shape as everything else. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket, refusal: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const [status, text] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const body = JSON.stringify(refusal(status as number, `No HTTP request that can be read: ${error.message}`));
  const head = [
    `HTTP/1.1 ${status} ${text}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

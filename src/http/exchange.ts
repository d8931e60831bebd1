import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request as overHttp } from 'node:http';
import { Agent as HttpsAgent, request as overHttps } from 'node:https';
import { sizeText } from '../bytes.ts';
import { UserError } from '../errors.ts';

/** One request on the wire. */
export interface Exchange {
  url: string;
  agent: Agent;
  headers: OutgoingHttpHeaders;
  /** Sent by POST; without it, the request is a GET. */
  body?: string | Uint8Array;
  signal?: AbortSignal;
  /** Longest silence of a server before it counts as gone. */
  silenceMs: number;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** A server took a connection, and says nothing. */
export class Silence extends Error {}

const mostBytes = 2 ** 28;

/** Keeps connections to a server for the next requests. @param most connections at the same time; default: as many as are asked for */
export function agentFor(url: string, most = Number.POSITIVE_INFINITY): Agent {
  const kind = url.startsWith('https:') ? HttpsAgent : Agent;
  return new kind({ keepAlive: true, keepAliveMsecs: 30_000, maxSockets: most, maxFreeSockets: Math.min(most, 256) });
}

/**
 * Sends one request and waits for the whole answer. Not `fetch`, which gives up on an answer after five minutes and takes three
 * times the computation.
 * @throws what broke the connection, with the system's `code` where it has one; Silence; UserError where the answer is too long;
 *   AbortError when the signal fires.
 */
export function exchange({ url, agent, headers, body, signal, silenceMs }: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? overHttps : overHttp;
    const method = body === undefined ? 'GET' : 'POST';
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = { method, agent, headers: { ...headers, ...length }, signal, timeout: silenceMs };
    const request = send(url, options, response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > mostBytes) request.destroy(new UserError(`its answer has more than ${sizeText(mostBytes)}`));
      });
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks) });
      });
    });
    request.on('timeout', () => request.destroy(new Silence(`silent for ${Math.round(silenceMs / 1000)} seconds`)));
    request.on('error', reject);
    request.end(body);
  });
}

import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { sizeText } from '../../bytes.ts';
import { UserError } from '../../errors.ts';

/** One request on the wire. */
export interface Exchange {
  url: string;
  agent: Agent;
  headers: OutgoingHttpHeaders;
  /** Sent by POST; without it, the request is a GET. */
  body?: string;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Longest silence of a server before it counts as gone: an answer comes as a whole, after all its tokens. */
const silenceMs = 30 * 60_000;
const mostBytes = 2 ** 28;

/**
 * Sends one request and waits for the whole answer. Not `fetch`, which gives up on an answer after five minutes.
 * @throws what broke the connection, with the system's `code` where it has one; UserError where the answer is too long;
 *   AbortError when the signal fires.
 */
export function exchange({ url, agent, headers, body, signal }: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? overHttps : overHttp;
    const method = body === undefined ? 'GET' : 'POST';
    const request = send(url, { method, agent, headers, signal, timeout: silenceMs }, response => {
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
        resolve({ status, headers, text: Buffer.concat(chunks).toString() });
      });
    });
    request.on('timeout', () => request.destroy(new Error(`silent for ${silenceMs / 60_000} minutes`)));
    request.on('error', reject);
    request.end(body);
  });
}

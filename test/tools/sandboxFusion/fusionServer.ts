import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PythonPool, type PythonResult } from '../../../src/tools/python/pool.ts';
import { Turnstile } from '../../../src/turnstile.ts';

/** What becomes of a request beside being answered: the server's own error, in its two forms, or lateness. */
export type Trouble = 'SandboxError' | 'crash' | { lateMs: number };

export interface FusionServer {
  url: string;
  /** Requests to run code that have come, and the most that ran at the same time. */
  requests: z.output<typeof requestSchema>[];
  mostAtOnce: number;
  /** What happens to the next request. */
  next: () => Trouble | undefined;
  close(): Promise<void>;
}

const requestSchema = z.object({
  code: z.string(),
  language: z.literal('python'),
  stdin: z.string().nullable().default(null),
  compile_timeout: z.number().default(10),
  run_timeout: z.number().default(10),
  memory_limit_MB: z.int().default(-1),
});

/** It keeps so much of what a program writes. */
const mostKept = 2 ** 20;

/**
 * A server with the interface of SandboxFusion (POST /run_code for Python, GET /v1/ping), over the sandbox here: every program in a
 * fresh interpreter, so many at the same time, while others wait without a word.
 */
export async function fusionServer({ maxConcurrency = 34, workers = 1 } = {}): Promise<FusionServer> {
  const turnstile = new Turnstile(maxConcurrency);
  const pools = new Map<string, PythonPool>();
  const poolFor = (timeoutMs: number, memoryMiB: number) => {
    const key = `${timeoutMs} ${memoryMiB}`;
    if (!pools.has(key)) {
      const memoryBytes = memoryMiB > 0 ? memoryMiB * 2 ** 20 : undefined;
      pools.set(key, new PythonPool({ workers, timeoutMs, memoryBytes, maxOutputChars: mostKept }));
    }
    return pools.get(key)!;
  };
  let running = 0;
  const run = async ({ code, stdin, run_timeout, memory_limit_MB }: z.output<typeof requestSchema>) => {
    server.mostAtOnce = Math.max(server.mostAtOnce, ++running);
    try {
      return runAnswer(await poolFor(1000 * run_timeout, memory_limit_MB).runProgram(code, stdin ?? ''));
    } finally {
      running--;
    }
  };
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const body = await readBody(incoming);
    if (incoming.method === 'GET' && incoming.url === '/v1/ping') return reply(outgoing, 200, 'pong');
    if (incoming.method !== 'POST' || incoming.url !== '/run_code') {
      return reply(outgoing, 404, { detail: 'Not Found' });
    }
    const { data, error } = requestSchema.safeParse(JSON.parse(body));
    if (error) {
      const detail = error.issues.map(({ path, message }) => ({ loc: ['body', ...path], msg: message }));
      return reply(outgoing, 422, { detail });
    }
    server.requests.push(data);
    const trouble = server.next();
    if (trouble === 'crash') return reply(outgoing, 500, { detail: 'no child process found', traceback: 'Traceback' });
    if (trouble === 'SandboxError') {
      return reply(outgoing, 200, { ...runAnswer(), status: 'SandboxError', message: 'cannot fork' });
    }
    const done = await turnstile.pass(() => run(data));
    if (trouble) await sleep(trouble.lateMs, undefined, { ref: false });
    return reply(outgoing, 200, done);
  };
  const listener = createServer(
    (incoming, outgoing) => void answer(incoming, outgoing).catch(() => outgoing.destroy()),
  );
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  const server: FusionServer = {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    requests: [],
    mostAtOnce: 0,
    next: () => undefined,
    async close() {
      listener.close();
      listener.closeAllConnections();
      await Promise.all([...pools.values()].map(pool => pool.close()));
    },
  };
  return server;
}

function runAnswer(result?: PythonResult) {
  // The sandbox says by which code a program has left; Python itself says nothing.
  const [, stdout = '', code = '1'] = /^(.*?)(?:SystemExit: (-?\d+)\n)?$/s.exec(result?.output ?? '') ?? [];
  const isOver = result?.error === 'timeout';
  return {
    status: result?.error ? 'Failed' : 'Success',
    message: '',
    compile_result: null,
    run_result: result && {
      status: isOver ? 'TimeLimitExceeded' : 'Finished',
      execution_time: 0.01,
      return_code: isOver ? null : result.error ? Number(code) : 0,
      stdout: stdout.slice(0, mostKept),
      stderr: '',
    },
    executor_pod_name: null,
    files: {},
  };
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function reply(outgoing: ServerResponse, status: number, content: unknown): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify(content));
}

/** A server of MLflow's REST API 2.0, as far as runs are told to one: it refuses what the published API refuses, and fails as asked. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

/** What becomes of a request: nothing of it is done, all or a half of it is done and the answer is an error, or none comes. */
export type Fate = 'done' | 'refused' | 'done-500' | 'half-500' | 'done-lost' | 'silent';

export interface Run {
  experiment: string;
  name: string;
  status: string;
  tags: Map<string, string>;
  params: Map<string, string>;
  /** Every point that was ever logged, in that order. */
  points: { key: string; value: number; timestamp: number; step: number }[];
}

const name = z
  .string()
  .max(250)
  .regex(/^[/\w.\- ]+$/)
  .refine(key => !/^\/|\/\/|(^|\/)\.\.?(\/|$)/.test(key));
const int64 = z.int();
const metric = z.strictObject({ key: name, value: z.number(), timestamp: int64.min(1e12), step: int64 });
const param = z.strictObject({ key: name, value: z.string().min(1).max(6000) });
const tag = z.strictObject({ key: name, value: z.string().max(5000) });
const requests = {
  'experiments/create': z.strictObject({ name: z.string().min(1) }),
  'runs/create': z.strictObject({
    experiment_id: z.string(),
    run_name: z.string(),
    start_time: int64,
    tags: z.array(tag),
  }),
  'runs/search': z.strictObject({ experiment_ids: z.array(z.string()), filter: z.string() }),
  'runs/update': z.strictObject({
    run_id: z.string(),
    status: z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']),
    end_time: int64.optional(),
  }),
  'runs/log-batch': z.strictObject({
    run_id: z.string(),
    metrics: z.array(metric).max(1000).default([]),
    params: z.array(param).max(100).default([]),
  }),
};

class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(`refused: ${code}`);
    [this.status, this.code] = [status, code];
  }
}

export class MlflowServer {
  readonly runs = new Map<string, Run>();
  readonly experiments = new Map<string, string>();
  readonly authorizations = new Set<string | undefined>();
  /** Decides on each request. */
  fate: (path: string) => Fate = () => 'done';
  token: string | undefined;
  #server: Server | undefined;

  /** @param port 0: one that is free @returns its address */
  async listen(port = 0): Promise<string> {
    const server = createServer((request, response) => {
      void this.#handle(request).then(answer => {
        if (answer === 'silent') return;
        if (answer === 'lost') return response.destroy();
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      });
    });
    this.#server = server;
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const server = this.#server;
    server?.closeAllConnections();
    await new Promise(resolve => (server ? server.close(resolve) : resolve(undefined)));
  }

  async #handle(request: IncomingMessage): Promise<{ status: number; body: object } | 'silent' | 'lost'> {
    const url = new URL(request.url!, 'http://host');
    const path = url.pathname.replace('/api/2.0/mlflow/', '');
    let text = '';
    for await (const chunk of request) text += chunk;
    this.authorizations.add(request.headers.authorization);
    const fate = this.fate(path);
    if (fate === 'silent') return 'silent';
    if (fate === 'refused') return { status: 503, body: { error_code: 'TEMPORARILY_UNAVAILABLE', message: 'busy' } };
    try {
      if (this.token && request.headers.authorization !== `Bearer ${this.token}`) {
        return { status: 401, body: { message: `not welcome: ${request.headers.authorization}` } };
      }
      const body = this.#answer(path, request.method!, url.searchParams, text, fate === 'half-500');
      if (fate === 'done-lost') return 'lost';
      if (fate !== 'done') throw new ApiError(500, 'INTERNAL_ERROR');
      return { status: 200, body };
    } catch (error) {
      const { status, code } = error instanceof ApiError ? error : new ApiError(400, 'INVALID_PARAMETER_VALUE');
      return { status, body: { error_code: code, message: (error as Error).message } };
    }
  }

  #answer(path: string, method: string, query: URLSearchParams, text: string, isHalf: boolean): object {
    if (path === 'experiments/get-by-name' && method === 'GET') {
      const wanted = query.get('experiment_name')!;
      const found = [...this.experiments].find(([, name]) => name === wanted);
      if (!found) throw new ApiError(404, 'RESOURCE_DOES_NOT_EXIST');
      return { experiment: { experiment_id: found[0], name: wanted, lifecycle_stage: 'active' } };
    }
    if (path === 'runs/get' && method === 'GET') return { run: this.#shown(query.get('run_id')!) };
    if (method !== 'POST' || !Object.hasOwn(requests, path)) throw new ApiError(404, 'ENDPOINT_NOT_FOUND');
    const body = requests[path as keyof typeof requests].parse(JSON.parse(text)) as never;
    return this.#post(path, body, isHalf);
  }

  #post(path: string, body: never, isHalf: boolean): object {
    if (path === 'experiments/create') {
      const { name } = body as z.output<(typeof requests)['experiments/create']>;
      if ([...this.experiments.values()].includes(name)) throw new ApiError(400, 'RESOURCE_ALREADY_EXISTS');
      this.experiments.set(String(this.experiments.size + 1), name);
      return { experiment_id: String(this.experiments.size) };
    }
    if (path === 'runs/create') {
      const asked = body as z.output<(typeof requests)['runs/create']>;
      if (!this.experiments.has(asked.experiment_id)) throw new ApiError(404, 'RESOURCE_DOES_NOT_EXIST');
      const id = `run${this.runs.size + 1}`;
      const tags = new Map(asked.tags.map(({ key, value }) => [key, value]));
      const { experiment_id: experiment, run_name } = asked;
      this.runs.set(id, { experiment, name: run_name, status: 'RUNNING', tags, params: new Map(), points: [] });
      return { run: this.#shown(id) };
    }
    if (path === 'runs/search') {
      const { filter, experiment_ids } = body as z.output<(typeof requests)['runs/search']>;
      const [, key, value] = /^tags\.`([^`]+)` = '([^']*)'$/.exec(filter)!;
      const ids = [...this.runs].filter(([, run]) => run.tags.get(key) === value).map(([id]) => id);
      return ids.length === 0
        ? {}
        : { runs: ids.filter(id => experiment_ids.includes(this.#run(id).experiment)).map(id => this.#shown(id)) };
    }
    const { run_id } = body as { run_id: string };
    const run = this.#run(run_id);
    if (path === 'runs/update') {
      run.status = (body as z.output<(typeof requests)['runs/update']>).status;
      return { run_info: this.#shown(run_id).info };
    }
    const { metrics, params } = body as z.output<(typeof requests)['runs/log-batch']>;
    for (const { key, value } of params) {
      if ((run.params.get(key) ?? value) !== value) throw new ApiError(400, 'INVALID_PARAMETER_VALUE');
      run.params.set(key, value);
    }
    run.points.push(...(isHalf ? metrics.slice(0, metrics.length / 2) : metrics));
    return {};
  }

  #run(id: string): Run {
    const run = this.runs.get(id);
    if (!run) throw new ApiError(404, 'RESOURCE_DOES_NOT_EXIST');
    return run;
  }

  #shown(id: string) {
    const { status, points, params, name } = this.#run(id);
    const latest = new Map<string, Run['points'][number]>();
    for (const point of points) if (point.step >= (latest.get(point.key)?.step ?? -1)) latest.set(point.key, point);
    return {
      info: { run_id: id, run_name: name, status, lifecycle_stage: 'active' },
      data: {
        ...(latest.size > 0 && { metrics: [...latest.values()] }),
        ...(params.size > 0 && { params: Array.from(params, ([key, value]) => ({ key, value })) }),
      },
    };
  }
}

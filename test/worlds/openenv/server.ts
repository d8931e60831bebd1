/** Servers of OpenEnv's published interface: HTTP for what is known before a session, a WebSocket for each session. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';

type Json = Record<string, unknown>;

export interface Observed {
  observation: Json;
  reward: number | null;
  done: boolean;
}

/** An environment of one session. */
export interface TestEnvironment {
  reset(options: { seed?: number; split?: string; index?: number }): Observed;
  /** @throws z.ZodError where the action is not valid; Error where it fails */
  step(action: Json): Observed | Promise<Observed>;
  callTool?(name: string, args: Json): unknown;
}

export interface TestServerOptions {
  make: () => TestEnvironment;
  /** JSON Schema of its actions. */
  action: Json;
  tools?: Json[];
  splits?: Record<string, number>;
  description?: string;
  mostSessions?: number;
}

const request = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('reset'), data: z.record(z.string(), z.unknown()) }),
  z.strictObject({ type: z.literal('step'), data: z.record(z.string(), z.unknown()) }),
  z.strictObject({ type: z.literal('close') }),
  z.strictObject({
    type: z.literal('mcp'),
    data: z.strictObject({ jsonrpc: z.literal('2.0'), id: z.number(), method: z.string(), params: z.any() }),
  }),
]);

export class OpenEnvServer {
  readonly #options: TestServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  sessions = 0;
  /** At the same time. */
  mostAtOnce = 0;
  /** How often a client has said that it ends a session. */
  farewells = 0;

  constructor(options: TestServerOptions) {
    this.#options = options;
    this.#http = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const answer = this.#answer(request.url!, body && JSON.parse(body));
      response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? { detail: 'Not Found' }));
    });
    this.#sockets = new WebSocketServer({ server: this.#http, path: '/ws' });
    this.#sockets.on('connection', socket => this.#serve(socket));
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#http.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Says something in all sessions. */
  say(message: Json): void {
    for (const socket of this.#sockets.clients) socket.send(JSON.stringify(message));
  }

  /** Ends all sessions as a server does that is killed. */
  drop(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  async close(): Promise<void> {
    this.drop();
    this.#http.closeAllConnections();
    await new Promise(resolve => this.#http.close(resolve));
  }

  #answer(path: string, body: Json): unknown {
    const { action, tools, splits, description = 'A game of numbers.' } = this.#options;
    if (path === '/schema') return { action, observation: {}, state: {} };
    if (path === '/metadata') return { name: 'counting', description, version: '1' };
    if (path === '/mcp' && body.method === 'tools/list') {
      return tools
        ? { jsonrpc: '2.0', id: body.id, result: { tools } }
        : { jsonrpc: '2.0', id: body.id, error: { code: -32603, message: 'Environment does not support MCP' } };
    }
    if (!splits) return undefined;
    if (path === '/list_environments') return ['Counting'];
    if (path === '/Counting/splits') return Object.keys(splits).map(name => ({ name, type: name }));
    if (path === '/Counting/num_tasks') return { num_tasks: splits[body.split as string] };
    return undefined;
  }

  #serve(socket: WebSocket): void {
    const send = (type: string, data: unknown) => socket.send(JSON.stringify({ type, data }));
    const { make, mostSessions = 100 } = this.#options;
    if (this.sessions >= mostSessions) {
      send('error', { message: 'full', code: 'CAPACITY_REACHED', active_sessions: this.sessions });
      socket.close();
      return;
    }
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.sessions);
    socket.on('close', () => this.sessions--);
    const environment = make();
    socket.on('message', async text => {
      try {
        const message = request.parse(JSON.parse(text.toString()));
        if (message.type === 'close') {
          this.farewells++;
          return socket.close();
        }
        if (message.type === 'reset') {
          return send('observation', environment.reset(message.data));
        }
        if (message.type === 'step') {
          return send('observation', await environment.step(message.data));
        }
        const { name, arguments: args } = message.data.params;
        send('mcp', { jsonrpc: '2.0', id: message.data.id, result: environment.callTool!(name, args) });
      } catch (error) {
        const code = error instanceof z.ZodError ? 'VALIDATION_ERROR' : 'EXECUTION_ERROR';
        send('error', { message: error instanceof z.ZodError ? 'Invalid message' : (error as Error).message, code });
      }
    });
  }
}

const guess = z.strictObject({ number: z.int() });

/** Whose number is the seed's last digit: so many guesses from there is a guess punished, and the number is the end. */
export class Guessing implements TestEnvironment {
  #number = 0;

  reset({ seed = 0, index }: { seed?: number; index?: number }): Observed {
    this.#number = (index ?? seed) % 10;
    return { observation: { message: 'Guess my number.', metadata: {} }, reward: null, done: false };
  }

  step(action: Json): Observed {
    const { number } = guess.parse(action);
    const isFound = number === this.#number;
    const message = isFound ? 'Found.' : number < this.#number ? 'More.' : 'Less.';
    return { observation: { message, metadata: {} }, reward: isFound ? 1 : -0.25, done: isFound };
  }
}

export const guessAction = {
  title: 'GuessAction',
  description: 'Guesses a number.',
  type: 'object',
  additionalProperties: false,
  properties: { metadata: { type: 'object' }, number: { type: 'integer', description: 'from 0 to 9' } },
  required: ['number'],
};

/** OpenEnv's own action, which calls a tool. */
export const callToolAction = {
  title: 'CallToolAction',
  type: 'object',
  properties: {
    metadata: {},
    type: { const: 'call_tool' },
    tool_name: { type: 'string' },
    arguments: { type: 'object' },
  },
};

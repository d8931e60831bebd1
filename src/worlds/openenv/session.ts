import { once } from 'node:events';
import WebSocket from 'ws';
import { jsonIn } from '../../json.ts';
import { type Message, messageSchema, type Observed, type Refusal, type RpcAnswer } from './wire.ts';

const handshakeMs = 10_000;
const mostBytes = 2 ** 24;
/** Messages that nobody has asked for: a server may say why it ends a session. */
const mostUnasked = 1;
/** A session is over after so long, whatever the server says. */
const farewellMs = 2000;

/** A session did not hold: the server could not be reached, or closed it. The message is a part of a sentence. */
export class SessionLost extends Error {
  override name = 'SessionLost';
}

/** The server refuses what it was asked for. */
export class SessionRefusal extends Error {
  override name = 'SessionRefusal';
  readonly code: string;

  constructor({ code, message }: Refusal) {
    super(message);
    this.code = code;
  }
}

/** An environment of one's own on a server. It answers one thing after another; what is not waited for ends it. */
export class Session {
  readonly #socket: WebSocket;
  /** A server that is full says so before it is asked. */
  #said: string[] = [];
  #onSaid: () => void = () => {};
  #end: string | undefined;
  #closed: Promise<void> | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', data => {
      this.#said.push(data.toString());
      this.#onSaid();
      if (this.#said.length <= mostUnasked) return;
      this.#end ??= 'it says more than it is asked for';
      socket.terminate();
    });
    socket.on('error', ({ message }) => {
      this.#end ??= message;
    });
    socket.on('close', code => {
      this.#end ??= `the server has ended the session (${code})`;
      this.#onSaid();
    });
  }

  /** @param url of the server @throws SessionLost */
  static async open(url: string, signal: AbortSignal): Promise<Session> {
    const socket = new WebSocket(`${url.replace(/^http/i, 'ws')}/ws`, {
      handshakeTimeout: handshakeMs,
      maxPayload: mostBytes,
    });
    const session = new Session(socket);
    try {
      await once(socket, 'open', { signal });
      return session;
    } catch (error) {
      socket.terminate();
      signal.throwIfAborted();
      const { code, message } = error as NodeJS.ErrnoException;
      throw new SessionLost(`it cannot be reached (${code ?? message})`);
    }
  }

  async reset(options: object, signal: AbortSignal): Promise<Observed> {
    return (await this.#ask({ type: 'reset', data: options }, 'observation', signal)).data;
  }

  async step(action: object, signal: AbortSignal): Promise<Observed> {
    return (await this.#ask({ type: 'step', data: action }, 'observation', signal)).data;
  }

  /** Calls a tool beside the steps: it has no reward. */
  async callTool(name: string, args: object, signal: AbortSignal): Promise<RpcAnswer> {
    const data = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } };
    return (await this.#ask({ type: 'mcp', data }, 'mcp', signal)).data;
  }

  /** Ends when the server has let the session go, or does not say so. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    const timer = setTimeout(() => this.#socket.terminate(), farewellMs);
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type: 'close' }));
    await closed.catch(() => {});
    clearTimeout(timer);
  }

  /** @throws SessionRefusal; SessionLost; the reason of `signal`, with which the session ends, for its answer would come late */
  async #ask<Type extends Message['type']>(
    request: object,
    type: Type,
    signal: AbortSignal,
  ): Promise<Extract<Message, { type: Type }>> {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
    const { data: message, success } = messageSchema.safeParse(jsonIn(await this.#next(signal)));
    if (!success) throw new SessionLost('its answer is not as OpenEnv has it');
    if (message.type === 'error') throw new SessionRefusal(message.data);
    if (message.type === type) return message as Extract<Message, { type: Type }>;
    throw new SessionLost(`it answered a question for its ${type} with its ${message.type}`);
  }

  #next(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const said = this.#said.shift();
        if (said === undefined && this.#end === undefined && !signal.aborted) return;
        this.#onSaid = () => {};
        signal.removeEventListener('abort', look);
        if (said !== undefined) return resolve(said);
        if (signal.aborted) this.#socket.terminate();
        reject(signal.aborted ? signal.reason : new SessionLost(this.#end!));
      };
      this.#onSaid = look;
      signal.addEventListener('abort', look);
      look();
    });
  }
}

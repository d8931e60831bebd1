import {
  type CallToolResult,
  Client,
  type PriorDiscovery,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type Tool as ToolDefinition,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { abortable } from '../../abortable.ts';
import { version } from '../../version.ts';
import { ToolError, ToolLost } from '../tool.ts';
import { isBusy, patientFetch } from './patientFetch.ts';
import { Secrets } from './secrets.ts';
import type { McpServer } from './servers.ts';

/** To a program that is perhaps downloaded first. */
const startTimeoutMs = 120_000;
/** Servers that know no newer protocol may not answer the question for it. */
const probeTimeoutMs = 10_000;
/** A session is over after so long, whatever the server says. */
const farewellMs = 2000;
/** What a server says beside the protocol is kept so far, to tell why it ended. */
const wordsKept = 2000;

export interface CallOptions {
  timeoutMs: number;
  signal: AbortSignal;
  /** Goes with the call, beside its arguments. */
  meta?: Record<string, unknown>;
}

/** A server that did not hold: it could not be reached, ended or closed the connection. The message is a part of a sentence. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost';
}

/** A client of one server, and the process of its own where the server is a command. */
export class Connection {
  readonly #server: McpServer;
  readonly #secrets: Secrets;
  readonly #transport: StdioClientTransport | StreamableHTTPClientTransport;
  readonly #client = new Client(
    { name: 'sod', version },
    { versionNegotiation: { mode: 'auto', probe: { timeoutMs: probeTimeoutMs } } },
  );
  /** Of the process that has to end with this one, where the server is a command. */
  #pid: number | null = null;
  #tools: ToolDefinition[] = [];
  #words = '';
  #hasEnded = false;

  private constructor(server: McpServer) {
    this.#server = server;
    this.#secrets = new Secrets(server.name);
    this.#transport = this.#makeTransport();
    this.#client.onclose = () => {
      this.#hasEnded = true;
    };
  }

  /**
   * @param prior what an earlier connection has found out of the server's protocol
   * @throws ToolLost where it cannot be started or reached; UserError where the environment lacks what it needs
   */
  static async open(server: McpServer, prior?: PriorDiscovery): Promise<Connection> {
    const connection = new Connection(server);
    try {
      await connection.#client.connect(connection.#transport, { timeout: startTimeoutMs, prior });
      connection.#track();
      // Who knows the protocol already has not heard from the server before this.
      connection.#tools = (await connection.#client.listTools(undefined, { timeout: startTimeoutMs })).tools;
      return connection;
    } catch (error) {
      await connection.close();
      const what = server.command ? `could not be started (${server.command})` : `could not be reached (${server.url})`;
      throw new ToolLost(`MCP server ${server.name} ${what}: ${connection.#reason(error)}`);
    }
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What the next connection need not ask again. */
  get prior(): PriorDiscovery | undefined {
    const discover = this.#client.getDiscoverResult();
    if (discover) return { kind: 'modern', discover };
    return this.#client.getProtocolEra() === 'legacy' ? { kind: 'legacy' } : undefined;
  }

  get tools(): readonly ToolDefinition[] {
    return this.#tools;
  }

  /** @throws ToolError where the server refuses the call or is too slow; ConnectionLost; the reason of the signal. */
  async call(name: string, args: Record<string, unknown>, options: CallOptions): Promise<CallToolResult> {
    const { timeoutMs, signal, meta } = options;
    try {
      if (this.#hasEnded) throw new SdkError(SdkErrorCode.ConnectionClosed, 'the connection is closed');
      return await this.#client.callTool(
        { name, arguments: args, ...(meta && { _meta: meta }) },
        { timeout: timeoutMs, signal },
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ProtocolError) throw new ToolError('exception', `Error: ${this.hidden(error.message)}`);
      if (isTooSlow(error)) {
        throw new ToolError('timeout', `Error: ${name} did not answer within ${timeoutMs / 1000} s.`);
      }
      this.#hasEnded = true;
      throw new ConnectionLost(this.#reason(error));
    }
  }

  /** A text of the server without what the environment gave it. */
  hidden(text: string): string {
    return this.#secrets.hidden(text);
  }

  /** Ends the session, and the process. */
  async close(): Promise<void> {
    if (this.#transport instanceof StreamableHTTPClientTransport) {
      await abortable(this.#transport.terminateSession(), AbortSignal.timeout(farewellMs)).catch(() => {});
    }
    await this.#client.close().catch(() => {});
    await this.#transport.close().catch(() => {});
    untrack(this.#pid);
  }

  #track(): void {
    if (this.#transport instanceof StdioClientTransport) this.#pid = this.#transport.pid;
    track(this.#pid);
  }

  #makeTransport(): StdioClientTransport | StreamableHTTPClientTransport {
    const { command, args, env, url, headers, timeoutMs = startTimeoutMs } = this.#server;
    if (!command) {
      return new StreamableHTTPClientTransport(new URL(url!), {
        fetch: patientFetch(timeoutMs),
        requestInit: { headers: this.#secrets.filledIn(headers) },
      });
    }
    const transport = new StdioClientTransport({ command, args, env: this.#secrets.filledIn(env), stderr: 'pipe' });
    transport.stderr!.on('data', (words: Buffer) => {
      this.#words = (this.#words + words).slice(-wordsKept);
    });
    return transport;
  }

  /** What went wrong, with the last that the server said. */
  #reason(error: unknown): string {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message}, ${cause.message}` : message;
    const last = this.#words.trim().split('\n').at(-1);
    return this.hidden(last ? `${why}; it said: ${last}` : why);
  }
}

/** Whether a server let the time of a call pass, be it by saying that it is busy. */
function isTooSlow(error: unknown): boolean {
  if (error instanceof SdkHttpError) return isBusy(error.status);
  return error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;
}

/** Processes that must not outlive this one, however it exits. */
const running = new Set<number>();

function track(pid: number | null): void {
  if (pid === null) return;
  if (running.size === 0) process.on('exit', killAll);
  running.add(pid);
}

function untrack(pid: number | null): void {
  if (pid === null || !running.delete(pid)) return;
  if (running.size === 0) process.off('exit', killAll);
}

function killAll(): void {
  for (const pid of running) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

import type { Tool as ToolDefinition } from '@modelcontextprotocol/client';
import { UserError } from '../../errors.ts';
import { jsonSchemaParameters } from '../jsonSchema.ts';
import { type JsonSchemaParameters, type Tool, ToolError } from '../tool.ts';
import { Connection, ConnectionLost } from './connection.ts';
import { textOf } from './content.ts';
import type { McpServer } from './servers.ts';
import { type Lease, type Source, sourceOf } from './source.ts';

/** The key under which a call carries the id of the task that it is made for. */
const taskKey = 'sod/task';
const defaultTimeoutMs = 30_000;

/** What a server said of its tools when it was opened: what they are for all that follows. */
export interface ServerTools {
  server: string;
  tools: { name: string; description: string; parameters: Record<string, unknown> }[];
}

/** Servers that are there, until they are closed. */
export interface OpenServers {
  /** Fresh tools for one trajectory, beside those that it has: of the same names, a server's have its own in front. */
  tools(own: readonly Tool[], taskId?: string): Tool[];
  lists: ServerTools[];
  close(): Promise<void>;
}

/**
 * Starts or reaches MCP servers, and asks each for its tools, once.
 * @param timeoutMs most time of one call, where a server has none of its own
 * @throws UserError that names the server which is not there, has no such tool, or describes one that cannot be understood.
 */
export async function openServers(servers: readonly McpServer[], timeoutMs = defaultTimeoutMs): Promise<OpenServers> {
  const opened = await Promise.allSettled(
    servers.map(server => OpenServer.open({ ...server, timeoutMs: server.timeoutMs ?? timeoutMs })),
  );
  const there = opened.flatMap(result => (result.status === 'fulfilled' ? result.value : []));
  const close = async () => void (await Promise.all(there.map(server => server.close())));
  const failed = opened.find(result => result.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    tools(own, taskId) {
      const offered = there.map(server => ({ server, tools: server.tools(taskId) }));
      const names = [...own, ...offered.flatMap(({ tools }) => tools)].map(({ name }) => name);
      const isTwice = (name: string) => names.indexOf(name) < names.lastIndexOf(name);
      return [
        ...own,
        ...offered.flatMap(({ server, tools }) =>
          tools.map(tool => (isTwice(tool.name) ? { ...tool, name: `${server.name}_${tool.name}` } : tool)),
        ),
      ];
    },
    lists: there.map(({ list }) => list),
    close,
  };
}

type TimedServer = McpServer & { timeoutMs: number };

class OpenServer {
  readonly #server: TimedServer;
  readonly #source: Source;
  readonly #definitions: (ToolDefinition & { parameters: JsonSchemaParameters })[];

  private constructor(server: TimedServer, first: Connection, definitions: readonly ToolDefinition[]) {
    this.#server = server;
    this.#definitions = definitions.map(definition => ({
      ...definition,
      parameters: parametersOf(server, definition),
    }));
    this.#source = sourceOf(server, first);
  }

  static async open(server: TimedServer): Promise<OpenServer> {
    const first = await Connection.open(server);
    try {
      return new OpenServer(server, first, chosen(server, first.tools));
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  get name(): string {
    return this.#server.name;
  }

  get list(): ServerTools {
    const tools = this.#definitions.map(({ name, description = '', inputSchema: parameters }) => ({
      name,
      description,
      parameters,
    }));
    return { server: this.name, tools };
  }

  tools(taskId: string | undefined): Tool[] {
    const lease = this.#source.lease();
    return this.#definitions.map(({ name, description = '', parameters }) => ({
      name,
      description,
      parameters,
      // What a call waits for its turn is not its own time.
      limitsTime: true,
      origin: { kind: 'mcp', server: this.name },
      execute: (args, signal) => this.#call(lease, name, args, taskId, signal),
      close: () => lease.close(),
    }));
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async #call(
    lease: Lease,
    name: string,
    args: Record<string, unknown>,
    taskId: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const connection = await lease.connection(signal);
    const meta = taskId === undefined ? undefined : { [taskKey]: taskId };
    try {
      const result = await connection.call(name, args, { timeoutMs: this.#server.timeoutMs, signal, meta });
      const text = connection.hidden(textOf(result));
      if (!result.isError) return text;
      throw new ToolError('exception', /^error\b/i.test(text) ? text : `Error: ${text}`);
    } catch (error) {
      throw error instanceof ConnectionLost ? lease.lost(error) : error;
    }
  }
}

/** The tools that are wanted of a server. @throws UserError where it has one of them not */
function chosen({ name, tools }: McpServer, offered: readonly ToolDefinition[]): readonly ToolDefinition[] {
  if (!tools) return offered;
  return tools.map(wanted => {
    const found = offered.find(tool => tool.name === wanted);
    if (found) return found;
    throw new UserError(
      `MCP server ${name} has no tool ${wanted}; it has ${offered.map(tool => tool.name).join(', ') || 'none'}`,
    );
  });
}

function parametersOf(server: McpServer, { name, inputSchema }: ToolDefinition): JsonSchemaParameters {
  try {
    return jsonSchemaParameters(inputSchema);
  } catch (error) {
    throw new UserError(
      `MCP server ${server.name}: the schema of its tool ${name} cannot be read (${(error as Error).message}); ` +
        'name the others in tools to do without it',
    );
  }
}

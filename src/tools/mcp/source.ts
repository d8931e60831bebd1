/** Where the tools of a server take their connections from: one for all, or one for each trajectory. */
import { abortable } from '../../abortable.ts';
import { ToolError, ToolLost } from '../tool.ts';
import { Connection, type ConnectionLost } from './connection.ts';
import { ConnectionPool } from './pool.ts';
import { type McpServer, mostAtOnce } from './servers.ts';

/** What one trajectory has of a server. */
export interface Lease {
  connection(signal: AbortSignal): Promise<Connection>;
  /** What a call throws whose connection did not hold. */
  lost(error: ConnectionLost): Error;
  /** Ends what the trajectory had of its own. */
  close(): Promise<void>;
}

export interface Source {
  lease(): Lease;
  close(): Promise<void>;
}

/** @param first the connection by which the server was found to be there */
export function sourceOf(server: McpServer, first: Connection): Source {
  return server.perTrajectory ? ownConnections(server, first) : sharedConnection(server, first);
}

/** Who is asked for the next call after the server has ended begins it again. */
function sharedConnection(server: McpServer, first: Connection): Source {
  let current = Promise.resolve(first);
  let isClosed = false;
  const connection = async () => {
    const asked = current;
    const known = await asked;
    if (!known.hasEnded || isClosed) return known;
    if (current !== asked) return current; // another call has begun it again
    current = known.close().then(() => Connection.open(server, known.prior));
    current.catch(() => {
      current = Promise.resolve(known);
    });
    return current;
  };
  const lost = ({ message }: ConnectionLost) =>
    new ToolLost(
      `MCP server ${server.name} is gone: ${message}. Nothing can be learned without it: see to it that it runs, then go on ` +
        '(a run with --resume, from its last checkpoint)',
    );
  return {
    lease: () => ({ connection: signal => abortable(connection(), signal), lost, close: async () => {} }),
    async close() {
      isClosed = true;
      await current.then(known => known.close()).catch(() => {});
    },
  };
}

/** A server that ends has done so by what its trajectory did: the model is told. */
function ownConnections(server: McpServer, first: Connection): Source {
  const { prior } = first;
  const pool = new ConnectionPool(first, server.atOnce ?? mostAtOnce, () => Connection.open(server, prior));
  const lost = ({ message }: ConnectionLost) => new ToolError('exception', `Error: the server has ended: ${message}`);
  const lease = (): Lease => {
    let taken: Promise<Connection> | undefined;
    return {
      connection(signal) {
        taken ??= pool.take(signal);
        return taken;
      },
      lost,
      async close() {
        const own = taken;
        taken = undefined;
        const connection = await own?.catch(() => undefined);
        if (connection) await pool.giveBack(connection);
      },
    };
  };
  return { lease, close: () => pool.close() };
}

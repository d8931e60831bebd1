import { UserError } from '../errors.ts';
import { formatServer, type McpServer } from '../tools/mcp/servers.ts';

/**
 * A recipe is a text that may come from anywhere: the programs that it names run only where a person said so.
 * @throws UserError that tells what they are
 */
export function refuseServers({ mcp = [] }: { mcp?: readonly McpServer[] }, allowMcp = false): void {
  if (mcp.length === 0 || allowMcp) return;
  throw new UserError(
    'the recipe names MCP servers, programs that would run on this machine or addresses that would be asked: ' +
      `${mcp.map(formatServer).join('; ')}. If you want that, add --allow-mcp`,
  );
}

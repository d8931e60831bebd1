import type { OpenServers } from '../tools/mcp/open.ts';
import { checkedServers, type McpServer } from '../tools/mcp/servers.ts';
import type { World } from './world.ts';

const none: OpenServers = { tools: own => [...own], lists: [], close: async () => {} };

/**
 * Opens MCP servers, if there are any: only then is the protocol's package loaded.
 * @throws UserError where one is not there
 */
export async function openWorldServers(servers: readonly McpServer[], timeoutMs?: number): Promise<OpenServers> {
  if (servers.length === 0) return none;
  const { openServers } = await import('../tools/mcp/open.ts');
  return openServers(servers, timeoutMs);
}

/** The same world, whose tasks have the tools of its servers and of `more`. The caller closes the servers. */
export async function withServers<W extends World>(
  world: W,
  more: readonly McpServer[] = [],
  timeoutMs?: number,
): Promise<{ world: W; servers: OpenServers }> {
  const listed = [...(world.mcp ?? []), ...more];
  const servers = await openWorldServers(checkedServers(listed, `${world.name}: mcp`), timeoutMs);
  if (listed.length === 0) return { world, servers };
  return { world: { ...world, tools: task => servers.tools(world.tools(task), task.id) }, servers };
}

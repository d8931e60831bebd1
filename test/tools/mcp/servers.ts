import { fileURLToPath } from 'node:url';
import type { McpServer } from '../../../src/tools/mcp/servers.ts';

/** A server of this folder, as it is started over stdio. */
export function testServer(file: 'officeServer.ts' | 'kitchenServer.mjs', options: Partial<McpServer> = {}): McpServer {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { args = [], ...rest } = options;
  return {
    name: file.replace(/Server.*/, ''),
    command: process.execPath,
    args: [...(file.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []), path, ...args],
    ...rest,
  };
}

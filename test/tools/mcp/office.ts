import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { randomDirectory } from '../../../examples/office/directory.ts';
import { officeTools } from '../../../examples/office/tools.ts';

const never = new AbortController().signal;

/** The tools of the office example as an MCP server; the office is that of the task that a call is made for. */
export function officeServer(onCall = () => {}): McpServer {
  const server = new McpServer({ name: 'office', version: '1.0.0' });
  for (const { name, description } of officeTools(randomDirectory())) {
    server.registerTool(
      name,
      { description, inputSchema: z.object({ name: z.string() }) },
      async (args, { mcpReq }) => {
        onCall();
        const directory = randomDirectory(String(mcpReq._meta?.['sod/task']));
        const tool = officeTools(directory).find(tool => tool.name === name)!;
        return { content: [{ type: 'text', text: await tool.execute(args, never) }] };
      },
    );
  }
  return server;
}

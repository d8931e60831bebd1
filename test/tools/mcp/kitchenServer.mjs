/**
 * An MCP server with a tool for everything that can come of a call; with KITCHEN=new it has others. In JavaScript, which starts in a
 * third of the time.
 */
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

let counted = 0;
const nothing = z.object({});
const text = text => ({ content: [{ type: 'text', text }] });

serveStdio(() => {
  const server = new McpServer({ name: 'kitchen', version: '1.0.0' });
  const count = { description: 'Counts its calls', inputSchema: nothing };
  server.registerTool('count', count, () => text(String(++counted)));
  if (process.env.KITCHEN === 'new') {
    server.registerTool('taste', { inputSchema: nothing }, () => text('good'));
    return server;
  }
  const warmth = { Oslo: '12', Cairo: '31' };
  const weather = { description: 'How warm it is in a city', inputSchema: z.object({ city: z.string() }) };
  server.registerTool('weather', weather, ({ city }) => text(warmth[city]));
  server.registerTool('secret', { inputSchema: nothing }, () => text(`the key is ${process.env.KITCHEN_KEY}`));
  server.registerTool('fail', { inputSchema: nothing }, () => {
    throw new Error('the pan is too hot');
  });
  server.registerTool('die', { inputSchema: nothing }, () => {
    console.error('out of gas');
    process.exit(3);
  });
  server.registerTool('wait', { inputSchema: nothing }, () => new Promise(() => {}));
  server.registerTool(
    'weigh',
    { inputSchema: z.object({ grams: z.int().min(1), of: z.enum(['salt', 'flour']) }) },
    args => text(JSON.stringify(args)),
  );
  server.registerTool('everything', { inputSchema: nothing }, () => ({
    content: [
      { type: 'text', text: 'a dish' },
      { type: 'image', data: 'AAAA', mimeType: 'image/png' },
      { type: 'resource_link', uri: 'file:///recipe.txt', name: 'recipe', description: 'how it is cooked' },
      { type: 'resource', resource: { uri: 'file:///note.txt', text: 'with salt' } },
      { type: 'resource', resource: { uri: 'file:///smell', mimeType: 'x/smell', blob: 'AAAA' } },
    ],
  }));
  const outputSchema = z.object({ portions: z.number() });
  server.registerTool('structured', { inputSchema: nothing, outputSchema }, () => ({
    content: [],
    structuredContent: { portions: 4 },
  }));
  return server;
});

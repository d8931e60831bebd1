import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { cli } from '../cli.ts';
import { weatherModel } from '../serve/weatherModel.ts';

const tools = fileURLToPath(new URL('./weatherTools.ts', import.meta.url));
let args: string[];
let client: Client;
beforeAll(async () => {
  const model = await weatherModel();
  const options = ['--tools', tools, '--temperature', '0', '--device', 'cpu'];
  args = ['--import', import.meta.resolve('tsx'), cli, 'mcp', model, ...options];
  client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
}, 180_000);
afterAll(() => client.close());

const ask = (task: string) => ({ name: 'ask_agent', arguments: { task } });

test('the agent is a tool: a task in, its answer out, with the steps; what it does is told meanwhile', async () => {
  const { tools } = await client.listTools();
  expect(tools).toMatchObject([
    {
      name: 'ask_agent',
      description: 'Gives a task to another agent, which has the tools weather, and returns its answer.',
      inputSchema: { required: ['task'] },
    },
  ]);
  const told: (string | undefined)[] = [];
  const onprogress = ({ message }: { message?: string }) => void told.push(message);
  const result = await client.callTool(ask('How warm is it in Oslo?'), { onprogress });
  expect(result).toMatchObject({
    content: [{ type: 'text', text: '12 °C in Oslo 😀' }],
    structuredContent: {
      answer: '12 °C in Oslo 😀',
      end: 'answer',
      steps: [{ said: 'Let me see.', tool: 'weather', arguments: '{"city": "Oslo"}', observation: '12' }],
    },
  });
  expect(result.isError).toBeFalsy();
  expect(told).toContain('calls weather {"city": "Oslo"}');
});

test('a task that is taken back stops the agent, also in a call that never ends; others go on', async () => {
  const stop = new AbortController();
  const stuck = client.callTool(ask('How warm is it in Rome?'), {
    signal: stop.signal,
    onprogress: () => stop.abort(),
  });
  await expect(stuck).rejects.toThrow();
  const { structuredContent } = await client.callTool(ask('How warm is it in Oslo?'));
  expect(structuredContent).toMatchObject({ answer: '12 °C in Oslo 😀' });
});

test('where a tool ends the work, its last observation is the answer', async () => {
  const { content, isError, structuredContent } = await client.callTool(ask('How warm is it in Cairo?'));
  expect(content).toEqual([{ type: 'text', text: '31' }]);
  expect(isError).toBeFalsy();
  expect(structuredContent).toMatchObject({
    answer: '31',
    end: 'over',
    steps: [{ tool: 'weather', observation: '31' }],
  });
});

test('what is wrong with a task is told', async () => {
  const { isError, content } = await client.callTool(ask('How warm is it? '.repeat(4000)));
  expect(isError).toBe(true);
  expect(content).toMatchObject([{ text: expect.stringMatching(/tokens, and may have 4096: shorten the task/) }]);
});

/** The command with a first message on its way, and what it answers. */
async function started(): Promise<{ process: ChildProcess; answer: string }> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  child.stdin!.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`);
  const [answer] = await once(child.stdout!, 'data');
  return { process: child, answer: String(answer) };
}

test.each(['the end of its input', 'Ctrl-C'])('%s ends it', async how => {
  const { process: child, answer } = await started();
  // Nothing but the protocol is on standard output.
  expect(JSON.parse(answer)).toMatchObject({ id: 1, result: { serverInfo: { name: 'sod' } } });
  const exited = once(child, 'exit');
  if (how === 'Ctrl-C') child.kill('SIGINT');
  else child.stdin!.end();
  expect(await exited).toEqual([0, null]);
});

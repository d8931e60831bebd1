import { once } from 'node:events';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import type { Engine } from '../engine/types.ts';
import { type AgentOptions, agentOf, withAgent } from './agentOptions.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { type DeviceOption, withDevice } from './deviceOption.ts';
import { interruptible } from './interrupt.ts';
import { positiveInteger } from './options.ts';
import { type SamplingOptions, withSampling } from './samplingOptions.ts';

interface Options extends SamplingOptions, AgentOptions, DeviceOption {
  name: string;
  description?: string;
  atOnce: number;
}

/** Of one message of the protocol. */
const mostMessageBytes = 4 << 20;

export const mcpCommand = () =>
  withSampling(
    withDevice(
      withAgent(
        new Command('mcp')
          .description('Offer a model with its tools as one tool, to other agents, by the Model Context Protocol.')
          .argument('<checkpoint>', checkpointHelp)
          .option('--name <name>', 'what others call the tool', 'ask_agent')
          .option('--description <text>', 'what they are told of it (default: the names of its own tools)')
          .option('--at-once <count>', 'tasks under way at the same time', positiveInteger, 16),
      ),
    ),
    2048,
  )
    .addHelpText(
      'after',
      `
Examples:
  sod mcp runs/mine/final --tools python,./my-tools.mjs --description "Answers questions about our stock."
  sod mcp runs/demo/student-sod/final --world shop --name shop_clerk

Speaks over standard input and output, and is started by the program that asks: in its list of MCP servers, the command is "sod" (or
npx) and the rest its arguments. It ends when its input does; what it has to say beside goes to standard error.`,
    )
    .action(async (given: string, options: Options) => {
      const wire = takeOutput();
      const checkpoint = await checkpointHere(given);
      const [
        { LocalEngine },
        { loadChat },
        { Admission },
        { outlineOf },
        { agentServer, defaultDescription },
        { serveStdio, StdioServerTransport },
      ] = await Promise.all([
        import('../engine/local/engine.ts'),
        import('../text/loadChat.ts'),
        import('../serve/admission.ts'),
        import('../serve/responses/agent.ts'),
        import('../serve/mcp/agentServer.ts'),
        import('@modelcontextprotocol/server/stdio'),
      ]);
      const { temperature, topP, seed, maxTurns, maxTokens, maxPromptTokens, name, atOnce } = options;
      const chat = loadChat(checkpoint, { enableThinking: options.thinking === 'on' });
      const agent = await agentOf(options, checkpoint);
      const admission = new Admission(atOnce);
      let engine: Engine | undefined;
      try {
        const outline = await outlineOf(agent);
        engine = await LocalEngine.start({ device: options.device, onNotice: console.error });
        const sampler = await engine.sampler(checkpoint);
        const description = options.description ?? defaultDescription(outline);
        const sampling = { temperature, topP };
        const limits = { maxTurns, maxTokens, maxPromptTokens, admission };
        const parts = { agent, sampler, chat, name, description, sampling, seed, ...limits };
        const input = process.stdin;
        const ended = new Promise<void>(resolve => input.once('end', resolve).once('close', resolve));
        const connection = serveStdio(() => agentServer(parts), {
          transport: new StdioServerTransport(input, wire, { maxBufferSize: mostMessageBytes }),
          onerror: error => console.error(error.message),
        });
        await interruptible(signal => Promise.race([ended, once(signal, 'abort')]));
        await connection.close();
      } finally {
        admission.endAll();
        await admission.close();
        await engine?.close();
        await agent.close();
      }
    });

/** Standard output, for the protocol alone: what else is printed there, by whatever tool, goes to standard error. */
function takeOutput(): Writable {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  return new Writable({ write: (chunk, _, done) => void write(chunk, done) });
}

import { once } from 'node:events';
import { Command, InvalidArgumentError } from 'commander';
import { UserError } from '../errors.ts';
import type { NamedAdapter } from '../serve/adapters.ts';
import { type AgentOptions, agentOf, withAgent } from './agentOptions.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { type DeviceOption, deviceOption } from './deviceOption.ts';
import { interruptible } from './interrupt.ts';
import { byteCount, nonNegativeInteger, portNumber, positiveInteger, positiveNumber } from './options.ts';

interface Options extends AgentOptions, DeviceOption {
  tinker?: boolean;
  state: string;
  name?: string;
  lora: NamedAdapter[];
  host: string;
  port: number;
  apiKey?: string;
  allowOrigin: string[];
  maxBody?: number;
  maxBatch: number;
  maxQueue?: number;
  maxContext?: number;
  weightsFrom?: string;
  maxTurns?: number;
  cacheGib: number;
  dtype: 'auto' | 'f32' | 'bf16';
}

export const serveCommand = () =>
  withAgent(
    new Command('serve')
      .description(
        "Serve a model, or an agent with its tools, by OpenAI's API, to the clients that you already have; or be trained, by Tinker's.",
      )
      .argument('<checkpoint...>', `${checkpointHelp}; with --tinker, several`)
      .option('--tinker', 'the Tinker API: clients train copies of the models, sample from them and save them')
      .option('--state <folder>', 'with --tinker, where they are saved', 'runs/tinker')
      .option('--port <port>', 'port to listen on', portNumber, 8000)
      .option('--host <address>', 'address to listen on; others than this machine can reach 0.0.0.0', '127.0.0.1')
      .option('--name <name>', "what clients call the model (default: its folder's or run's name)")
      .option(
        '--lora <name=folder>',
        'an adapter over the model, which clients ask for by this name; several times for several',
        (text: string, others: NamedAdapter[]) => [...others, parseAdapter(text)],
        [],
      )
      .option('--api-key <key>', 'ask clients for this key (default: SOD_API_KEY of the environment)')
      .option(
        '--allow-origin <origin>',
        "let web pages of https://example.org ask, several times for several, or '*' (default: those of this machine)",
        (origin: string, others: string[]) => [...others, parseOrigin(origin)],
        [],
      )
      .option('--max-context <tokens>', 'most tokens of a prompt and its answer', positiveInteger)
      .option(
        '--weights-from <folder>',
        'let clients replace the weights by those of a folder in this one, as "rollout: {server: …}" of a recipe does',
      )
      .option('--max-batch <count>', 'sequences sampled side by side', positiveInteger, 64)
      .option(
        '--max-queue <count>',
        'sequences that may wait beside them (default: 256, with --tinker 1024)',
        nonNegativeInteger,
      )
      .option('--max-body <bytes>', 'longest body of a request (default: 1 MiB, with --tinker 128 MiB)', byteCount)
      .option(
        '--cache-gib <size>',
        'memory for keys and values, filled before anything in it is forgotten',
        positiveNumber,
        1,
      )
      .addOption(deviceOption().default('auto'))
      .option('--dtype <dtype>', 'auto, f32 or bf16', 'auto')
      .option('--max-turns <turns>', 'with tools, most turns of an answer (default: 16)', positiveInteger),
  )
    .addHelpText(
      'after',
      `
Examples:
  sod serve runs/demo/student-sod/final
  sod serve models/Qwen3-0.6B --port 9000 --api-key secret
  sod serve models/Qwen3-0.6B --lora shop=runs/shop/final --lora bank=runs/bank/final
  sod serve models/student models/teacher --tinker
  sod serve runs/mine/final --tools python,./my-tools.mjs --mcp files="npx -y @modelcontextprotocol/server-filesystem /srv"

  curl http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "student-sod", "messages": [{"role": "user", "content": "Hello"}]}'

Serves /v1/chat/completions, /v1/completions, /v1/responses, /v1/models, /health and /metrics. With --tools, --world, --system
or --mcp an agent answers at /v1/responses: its tools run here, each answer with a Python of its own. With --tinker what is below
/api/v1 is served, to recipes with "engine: {kind: tinker, url: …}" and to Tinker's SDK, whose keys begin with tml-. Ctrl-C lets
answers under way finish.`,
    )
    .action(async (given: string[], options: Options) => {
      if (!['auto', 'f32', 'bf16'].includes(options.dtype)) {
        throw new UserError(`--dtype is ${options.dtype}; it must be auto, f32 or bf16`);
      }
      const server = options.tinker ? await startTinker(given, options) : await start(given, options);
      await interruptible(
        signal => once(signal, 'abort'),
        'Letting the answers under way finish; once more to stop at once.',
      );
      await server.close();
    });

async function start([given, ...others]: string[], options: Options) {
  if (others.length > 0)
    throw new UserError(`OpenAI's API serves one model, not also ${others[0]}: give --tinker, or one`);
  const checkpoint = await checkpointHere(given);
  const agent = isAgent(options) ? await agentOf(options, checkpoint) : undefined;
  try {
    const { serve } = await import('../serve/server.ts');
    const { name, maxContext, weightsFrom, lora, maxTurns } = options;
    const server = await serve({
      ...common(options),
      checkpoint,
      name,
      maxContext,
      weightsFrom,
      lora,
      agent,
      maxTurns,
    });
    const models = [server.model, ...server.adapters].join(', ');
    const tools = server.tools.length > 0 ? `; runs ${server.tools.join(', ')}` : '';
    console.log(`${models} at ${server.url}/v1, up to ${server.contextTokens} tokens a request${tools}; Ctrl-C stops`);
    return { close: () => server.close().finally(() => agent?.close()) };
  } catch (error) {
    await agent?.close();
    throw error;
  }
}

function isAgent({ tools, world, system, mcp }: Options): boolean {
  return [tools, world, system, mcp].some(given => given !== undefined);
}

async function startTinker(given: string[], options: Options) {
  const { name, lora, maxContext, weightsFrom } = options;
  if (name !== undefined || lora.length > 0 || maxContext !== undefined || weightsFrom !== undefined) {
    throw new UserError("--name, --lora, --max-context and --weights-from are of OpenAI's API, not of --tinker");
  }
  if (isAgent(options))
    throw new UserError("--tools, --world, --system and --mcp are of OpenAI's API, not of --tinker");
  const checkpoints: string[] = [];
  for (const checkpoint of given) checkpoints.push(await checkpointHere(checkpoint));
  const { serveTinker } = await import('../serve/tinker/server.ts');
  const server = await serveTinker({ ...common(options), checkpoints, stateFolder: options.state });
  console.log(`${server.models.join(', ')} to be trained at ${server.url}, saved in ${options.state}; Ctrl-C stops`);
  return server;
}

function common(options: Options) {
  return {
    host: options.host,
    port: options.port,
    apiKey: options.apiKey ?? process.env.SOD_API_KEY,
    allowOrigins: options.allowOrigin,
    maxBodyBytes: options.maxBody,
    maxQueue: options.maxQueue,
    engine: {
      maxBatch: options.maxBatch,
      cacheBytes: Math.ceil(options.cacheGib * 2 ** 30),
      device: options.device,
      dtype: options.dtype,
      onNotice: console.error,
    },
    onError: (error: Error) => console.error(error.stack),
  };
}

/** An origin as browsers write it. */
function parseOrigin(text: string): string {
  if (text === '*' || text === 'null') return text;
  const origin = URL.canParse(text) ? new URL(text).origin : 'null';
  if (origin === 'null') throw new InvalidArgumentError("It must be an origin such as https://example.org, or '*'.");
  return origin;
}

function parseAdapter(text: string): NamedAdapter {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (!name) throw new InvalidArgumentError('It must be a name and a folder, such as shop=runs/shop/final.');
  return { name, path };
}

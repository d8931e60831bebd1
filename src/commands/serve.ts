import { Command, InvalidArgumentError } from 'commander';
import { UserError } from '../errors.ts';
import { interruptible } from './interrupt.ts';
import { byteCount, nonNegativeInteger, portNumber, positiveInteger, positiveNumber } from './options.ts';

interface Options {
  name?: string;
  host: string;
  port: number;
  apiKey?: string;
  allowOrigin: string[];
  maxBody: number;
  maxBatch: number;
  maxQueue: number;
  maxContext?: number;
  cacheGib: number;
  dtype: 'auto' | 'f32' | 'bf16';
}

export const serveCommand = () =>
  new Command('serve')
    .description("Serve a model by OpenAI's API, to the clients and agents that you already have.")
    .argument('<checkpoint>', 'folder of a model in Hugging Face layout')
    .option('--port <port>', 'port to listen on', portNumber, 8000)
    .option('--host <address>', 'address to listen on; others than this machine can reach 0.0.0.0', '127.0.0.1')
    .option('--name <name>', "what clients call the model (default: its folder's or run's name)")
    .option('--api-key <key>', 'ask clients for this key (default: SOD_API_KEY of the environment)')
    .option(
      '--allow-origin <origin>',
      "let web pages of https://example.org ask, several times for several, or '*' (default: those of this machine)",
      (origin: string, others: string[]) => [...others, parseOrigin(origin)],
      [],
    )
    .option('--max-context <tokens>', 'most tokens of a prompt and its answer', positiveInteger)
    .option('--max-batch <count>', 'sequences sampled side by side', positiveInteger, 64)
    .option('--max-queue <count>', 'sequences that may wait beside them', nonNegativeInteger, 256)
    .option('--max-body <bytes>', 'longest body of a request', byteCount, 1 << 20)
    .option(
      '--cache-gib <size>',
      'memory for keys and values, filled before anything in it is forgotten',
      positiveNumber,
      1,
    )
    .option('--dtype <dtype>', 'auto, f32 or bf16', 'auto')
    .addHelpText(
      'after',
      `
Examples:
  sod serve runs/demo/student-sod/final
  sod serve models/Qwen3-0.6B --port 9000 --api-key secret

  curl http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "student-sod", "messages": [{"role": "user", "content": "Hello"}]}'

Serves /v1/chat/completions, /v1/completions, /v1/models, /health and /metrics. Ctrl-C lets answers under way finish.`,
    )
    .action(async (checkpoint: string, options: Options) => {
      if (!['auto', 'f32', 'bf16'].includes(options.dtype)) {
        throw new UserError(`--dtype is ${options.dtype}; it must be auto, f32 or bf16`);
      }
      const { serve } = await import('../serve/server.ts');
      const server = await serve({
        checkpoint,
        name: options.name,
        host: options.host,
        port: options.port,
        apiKey: options.apiKey ?? process.env.SOD_API_KEY,
        allowOrigins: options.allowOrigin,
        maxBodyBytes: options.maxBody,
        maxQueue: options.maxQueue,
        maxContext: options.maxContext,
        engine: {
          maxBatch: options.maxBatch,
          cacheBytes: Math.ceil(options.cacheGib * 2 ** 30),
          dtype: options.dtype,
          onNotice: console.error,
        },
        onError: error => console.error(error.stack),
      });
      console.log(`${server.model} at ${server.url}/v1, up to ${server.contextTokens} tokens a request; Ctrl-C stops`);
      await interruptible(
        signal => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true })),
        'Letting the answers under way finish; once more to stop at once.',
      );
      await server.close();
    });

/** An origin as browsers write it. */
function parseOrigin(text: string): string {
  if (text === '*' || text === 'null') return text;
  const origin = URL.canParse(text) ? new URL(text).origin : 'null';
  if (origin === 'null') throw new InvalidArgumentError("It must be an origin such as https://example.org, or '*'.");
  return origin;
}

import type { Command } from 'commander';
import type { Engine } from '../engine/types.ts';
import { checkpointHelp, checkpointHere } from './checkpointArgument.ts';
import { type DeviceOption, withDevice } from './deviceOption.ts';
import { positiveInteger } from './options.ts';

/** Which model is sampled, where it is computed, and how much at a time. */
export interface PolicyOptions extends DeviceOption {
  server?: string;
  concurrency: number;
}

export function withPolicy(command: Command): Command {
  return withDevice(command)
    .argument('<checkpoint>', checkpointHelp)
    .option('--server <url>', 'sample the model that a server has, such as http://127.0.0.1:8000; see below')
    .option('--concurrency <count>', 'trajectories under way at the same time', positiveInteger, 64);
}

export const serverHelp = `
With --server, vLLM, SGLang or sod serve samples the model; <checkpoint> then gives tokenizer and chat template and needs no
weights. The address has the model's name behind #, if the server has several; its key is SOD_API_KEY of the environment. A
server that cannot be reached or is overloaded is asked again, for 10 minutes.`;

/** The model to sample. The caller closes the engine. */
export interface OpenPolicy {
  engine: Engine;
  /** Of tokenizer and chat template, and of the weights where they are here. */
  folder: string;
  /** What a server calls the model. */
  servedAs?: string;
}

export async function openPolicy(
  checkpoint: string,
  { server, concurrency, device }: PolicyOptions,
): Promise<OpenPolicy> {
  const folder = await checkpointHere(checkpoint, { weights: server === undefined });
  if (server === undefined) {
    const { LocalEngine } = await import('../engine/local/engine.ts');
    return { engine: await LocalEngine.start({ device, onNotice: console.error }), folder };
  }
  const { OpenAIEngine } = await import('../engine/openai/engine.ts');
  const engine = await OpenAIEngine.open(server, { concurrency, onNotice: console.error });
  return { engine, folder, servedAs: engine.model };
}

import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoSized, writeRandomQwen3 } from '../../bench/randomQwen3.ts';
import { parseRecipe, type RecipeInput } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';

export const weatherSchema = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const } },
  required: ['city'],
};

export const weatherTool = {
  type: 'function' as const,
  function: { name: 'weather', description: 'How warm it is in a city', parameters: weatherSchema },
};

const warmth: Record<string, string> = { Oslo: '12', Rome: '25', Cairo: '31' };

export function weather(city: string): string {
  return warmth[city];
}

const call = (city: string) => ({ function: { name: 'weather', arguments: JSON.stringify({ city }) } });

const lessons = [
  ...Object.entries(warmth).map(([city, degrees]) => [
    { role: 'user', content: `How warm is it in ${city}?` },
    { role: 'assistant', content: 'Let me see.', tool_calls: [call(city)] },
    { role: 'tool', content: degrees },
    { role: 'assistant', content: `${degrees} °C in ${city} 😀` },
  ]),
  [
    { role: 'user', content: 'Compare Oslo and Rome.' },
    { role: 'assistant', content: '', tool_calls: [call('Oslo'), call('Rome')] },
    { role: 'tool', content: '12' },
    { role: 'assistant', content: 'Rome is warmer.' },
  ],
  // What it says to a question that it has never seen: with certainty, or rounded weights would show in every chance of a token.
  ...Object.keys(warmth).map(city => [
    { role: 'user', content: `What do you know of ${city}?` },
    { role: 'assistant', content: 'Nothing but how warm it is.' },
  ]),
  [
    { role: 'user', content: 'Say hello.' },
    { role: 'assistant', content: 'Hello! 😀 How are you?' },
  ],
];

/** A small model that has learned by heart to ask its tool for the weather; made once for all tests of one run. */
export function weatherModel(): Promise<string> {
  return learned('weather', async () => ({
    init: { hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2, kvHeads: 1, headDim: 32 },
  }));
}

/** The same with Qwen3's own tokenizer. */
export function qwen3WeatherModel(): Promise<string> {
  return learned('weather-qwen3', async folder => {
    const model = join(folder, 'random');
    const shape = { hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 2 };
    await writeRandomQwen3(model, { ...demoSized, ...shape, num_key_value_heads: 1, vocab_size: 151_936 });
    return { model, training: { epochs: 80, batchSize: 8 }, optimizer: { learningRate: 1e-2 } };
  });
}

async function learned(name: string, start: (folder: string) => Promise<Partial<RecipeInput>>): Promise<string> {
  const folder = join(tmpdir(), 'weather-models');
  const runDir = join(folder, name);
  const model = join(runDir, 'final');
  if (existsSync(model)) return model;
  mkdirSync(folder, { recursive: true });
  const dataset = join(folder, 'lessons.jsonl');
  const draft = `${dataset}.${process.pid}`;
  writeFileSync(draft, lessons.map(messages => `${JSON.stringify({ messages, tools: [weatherTool] })}\n`).join(''));
  renameSync(draft, dataset);
  const recipe = parseRecipe({
    method: 'sft',
    dataset,
    training: { epochs: 150, batchSize: 8 },
    optimizer: { learningRate: 3e-3 },
    ...(await start(join(folder, `${name}-start`))),
  });
  await train(recipe, { runDir }).catch(async (error: Error) => {
    if (!/ is in use by process /.test(error.message)) throw error;
    // Another file's tests make it at this moment.
    while (!existsSync(model)) await sleep(100);
  });
  return model;
}

import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRecipe } from '../../src/train/recipe.ts';
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
  [
    { role: 'user', content: 'Say hello.' },
    { role: 'assistant', content: 'Hello! 😀 How are you?' },
  ],
];

/** A small model that has learned by heart to ask its tool for the weather; made once for all tests of one run. */
export async function weatherModel(): Promise<string> {
  const folder = join(tmpdir(), 'weather-model');
  const model = join(folder, 'weather', 'final');
  if (existsSync(model)) return model;
  const dataset = `${folder}.jsonl`;
  writeFileSync(dataset, lessons.map(messages => `${JSON.stringify({ messages, tools: [weatherTool] })}\n`).join(''));
  const recipe = parseRecipe({
    method: 'sft',
    dataset,
    init: { hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2, kvHeads: 1, headDim: 32 },
    training: { epochs: 150, batchSize: 5 },
    optimizer: { learningRate: 3e-3 },
  });
  await train(recipe, { runDir: join(folder, 'weather') });
  return model;
}

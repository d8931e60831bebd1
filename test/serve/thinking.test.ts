import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, expect, test } from 'vitest';
import { serve } from '../../src/serve/server.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from './weatherModel.ts';

/** A small model whose template begins every turn with a thought, where it is to think; it never comes to the end of one. */
async function thinkingModel(): Promise<string> {
  const checkpoint = join(temporaryFolder(afterAll), 'thinking');
  cpSync(await weatherModel(), checkpoint, { recursive: true });
  const file = join(checkpoint, 'tokenizer_config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  const begin = "{%- if add_generation_prompt and enable_thinking %}{{- '<think>\\n' }}{%- endif %}";
  writeFileSync(file, JSON.stringify({ ...config, chat_template: config.chat_template + begin }));
  return checkpoint;
}

test('what a model thinks is reasoning_content, in one piece or streamed, where the request lets it think', async () => {
  const server = await serve({ checkpoint: await thinkingModel(), port: 0, engine: { dtype: 'f32' } });
  try {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const ask = (enable_thinking: boolean) => ({
      model: 'thinking',
      temperature: 0,
      max_tokens: 12,
      messages: [
        { role: 'user' as const, content: 'Hello.' },
        { role: 'assistant' as const, content: 'Hello!', reasoning_content: 'A greeting.' },
        { role: 'user' as const, content: 'How are you?' },
      ],
      chat_template_kwargs: { enable_thinking },
    });
    const { choices } = await client.chat.completions.create(ask(true));
    const message = choices[0].message as OpenAI.ChatCompletionMessage & { reasoning_content?: string };
    expect(message.content).toBe('');
    expect(message.reasoning_content).toBeTruthy();

    const streamed = { content: '', reasoning_content: '' };
    for await (const chunk of await client.chat.completions.create({ ...ask(true), stream: true })) {
      const delta = chunk.choices[0].delta as Partial<typeof streamed>;
      streamed.content += delta.content ?? '';
      streamed.reasoning_content += delta.reasoning_content ?? '';
    }
    expect(streamed).toEqual({ content: '', reasoning_content: message.reasoning_content });

    const direct = await client.chat.completions.create(ask(false));
    expect(direct.choices[0].message).not.toHaveProperty('reasoning_content');
    expect(direct.choices[0].message.content).toBeTruthy();

    const question = {
      model: 'thinking',
      temperature: 0,
      max_output_tokens: 12,
      reasoning: { effort: 'low' as const },
      input: [
        { role: 'user' as const, content: 'Hello.' },
        {
          type: 'reasoning' as const,
          id: 'rs_1',
          summary: [],
          content: [{ type: 'reasoning_text' as const, text: 'A greeting.' }],
        },
        { role: 'assistant' as const, content: 'Hello!' },
        { role: 'user' as const, content: 'How are you?' },
      ],
    };
    const response = await client.responses.create(question);
    const content = [{ type: 'reasoning_text', text: message.reasoning_content }];
    expect(response.output).toMatchObject([{ type: 'reasoning', content }]);
    expect(response.usage!.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
    const events = await client.responses.stream(question).finalResponse();
    expect(events.output[0]).toEqual({ ...response.output[0], id: events.output[0].id });
  } finally {
    await server.close();
  }
});

import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { expectRefused } from './refused.ts';
import { weather, weatherModel, weatherTool } from './weatherModel.ts';

let checkpoint: string;
let server: RunningServer;
let client: OpenAI;

beforeAll(async () => {
  checkpoint = await weatherModel();
  server = await serve({ checkpoint, port: 0, apiKey: 'secret', engine: { dtype: 'f32' } });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'secret', maxRetries: 0 });
}, 180_000);
afterAll(() => server.close());

const model = 'weather';
const ask = (content: string) => ({ model, temperature: 0, messages: [{ role: 'user' as const, content }] });
const oslo = { ...ask('How warm is it in Oslo?'), tools: [weatherTool] };

test('models are listed', async () => {
  const models = await client.models.list();
  expect(models.data.map(({ id }) => id)).toEqual([model]);
  expect((await client.models.retrieve(model)).id).toBe(model);
  await expect(client.models.retrieve('gpt-4')).rejects.toThrow(OpenAI.NotFoundError);
});

describe('a chat', () => {
  test('text, usage, and why it ended', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...ask('Say hello.'), tools: [weatherTool] });
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Hello! 😀 How are you?' } });
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + usage!.completion_tokens);
  });

  test('a tool loop: call, answer, and what the model makes of it', async () => {
    const first = await client.chat.completions.create(oslo);
    const { message, finish_reason } = first.choices[0];
    expect(finish_reason).toBe('tool_calls');
    expect(message.content).toBe('Let me see.');
    const call = message.tool_calls![0];
    if (call.type !== 'function') throw new Error('no function is called');
    expect(call.id).toMatch(/^call_/);
    expect(call.function.name).toBe('weather');
    const { city } = JSON.parse(call.function.arguments);
    const second = await client.chat.completions.create({
      ...oslo,
      messages: [...oslo.messages, message, { role: 'tool', tool_call_id: call.id, content: weather(city) }],
    });
    expect(second.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '12 °C in Oslo 😀' } });
  });

  test('parallel calls, streamed: as deltas they are what they are as a whole', async () => {
    const request = { ...ask('Compare Oslo and Rome.'), tools: [weatherTool] };
    const whole = await client.chat.completions.create(request);
    const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    let pieces = 0;
    stream.on('tool_calls.function.arguments.delta', () => pieces++);
    const streamed = await stream.finalChatCompletion();
    const calls = (completion: OpenAI.ChatCompletion) =>
      completion.choices[0].message.tool_calls!.map(call => call.type === 'function' && call.function);
    expect(calls(whole)).toMatchObject([
      { name: 'weather', arguments: '{"city": "Oslo"}' },
      { name: 'weather', arguments: '{"city": "Rome"}' },
    ]);
    expect(calls(streamed)).toMatchObject(calls(whole));
    expect(new Set(streamed.choices[0].message.tool_calls!.map(({ id }) => id)).size).toBe(2);
    expect(pieces).toBeGreaterThan(2);
    expect(streamed.usage).toEqual(whole.usage);
  });

  test('a seed repeats a choice of chance, several choices differ, streamed or not', async () => {
    const request = { ...ask('Say hello.'), temperature: 2, n: 4, seed: 7, max_tokens: 12 };
    const texts = (completion: OpenAI.ChatCompletion) => completion.choices.map(({ message }) => message.content);
    const [one, other] = [await client.chat.completions.create(request), await client.chat.completions.create(request)];
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(texts(other)).toEqual(texts(one));
    expect(texts(streamed)).toEqual(texts(one));
    expect(new Set(texts(one)).size).toBe(4);
    expect(one.choices.map(({ finish_reason }) => finish_reason)).toContain('length');
  });

  test('stop strings end it before them', async () => {
    const request = { ...ask('Say hello.'), tools: [weatherTool], stop: ['xyz', '😀 How'] };
    const whole = await client.chat.completions.create(request);
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Hello! ' } });
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0].message.content).toBe('Hello! ');
  });

  test('log-probabilities of what was said, the best of each place among them', async () => {
    const request = { ...ask('Say hello.'), tools: [weatherTool], logprobs: true, top_logprobs: 3 };
    const { choices } = await client.chat.completions.create(request);
    const content = choices[0].logprobs!.content!;
    expect(Buffer.from(content.flatMap(({ bytes }) => bytes!)).toString()).toBe('Hello! 😀 How are you?');
    for (const { token, logprob, top_logprobs } of content) {
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]).toMatchObject({ token, logprob });
    }
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0].logprobs!.content).toEqual(content);
  });

  test('a tool can be demanded, forbidden or named', async () => {
    const hello = { ...ask('Say hello.'), tools: [weatherTool], max_tokens: 200 };
    const demanded = await client.chat.completions.create({ ...hello, tool_choice: 'required', seed: 1 });
    expect(demanded.choices[0].message.tool_calls).toBeDefined();
    const named = { type: 'function' as const, function: { name: 'weather' } };
    const byName = await client.chat.completions.create({ ...hello, tool_choice: named });
    expect(byName.choices[0].message.tool_calls).toHaveLength(1);
    const none = await client.chat.completions.create({ ...oslo, tool_choice: 'none', max_tokens: 50 });
    expect(none.choices[0].message.tool_calls).toBeUndefined();
  });

  test('a JSON schema is followed, however unlikely', async () => {
    const schema = {
      type: 'object',
      properties: {
        city: { type: 'string', maxLength: 12 },
        degrees: { type: 'integer', minimum: -60, maximum: 60 },
        sky: { enum: ['clear', 'grey'] },
      },
      required: ['city', 'degrees', 'sky'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema' as const, json_schema: { name: 'report', schema } };
    for (let seed = 0; seed < 5; seed++) {
      const request = { ...ask('How warm is it in Oslo?'), temperature: 1, seed, response_format: format };
      const { choices } = await client.chat.completions.create(request);
      expect(choices[0].finish_reason).toBe('stop');
      const report = JSON.parse(choices[0].message.content!);
      expect(Object.keys(report)).toEqual(['city', 'degrees', 'sky']);
      expect(report.degrees).toSatisfy((n: number) => Number.isInteger(n) && Math.abs(n) <= 60);
      expect(['clear', 'grey']).toContain(report.sky);
    }
  });
});

describe('a completion', () => {
  test('text goes on, streamed or not', async () => {
    const request = { model, prompt: 'How warm is', max_tokens: 8, temperature: 0 };
    const { choices, usage } = await client.completions.create(request);
    expect(usage!.completion_tokens).toBe(8);
    let text = '';
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(choices[0].text);
  });

  test('several prompts, each several times', async () => {
    const { choices } = await client.completions.create({ model, prompt: ['a', 'b'], n: 2, max_tokens: 2, seed: 3 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });

  test('the prompt is repeated and scored where that is asked for, streamed or not', async () => {
    const request = {
      model,
      prompt: ['How warm is', 'Say 😀'],
      echo: true,
      logprobs: 2,
      max_tokens: 3,
      temperature: 0,
    };
    const { choices } = await client.completions.create(request);
    const chat = loadChat(checkpoint);
    for (const [i, { text, logprobs }] of choices.entries()) {
      const prompt = request.prompt[i];
      const length = chat.encode(prompt).length;
      const plain = (await client.completions.create({ ...request, prompt, echo: false })).choices[0];
      expect(text).toBe(prompt + plain.text);
      expect(logprobs!.tokens!.slice(length)).toEqual(plain.logprobs!.tokens);
      expect(logprobs!.token_logprobs![0]).toBeNull();
      expect(logprobs!.token_logprobs!.slice(length)).toEqual(plain.logprobs!.token_logprobs);
      logprobs!.top_logprobs!.slice(1).forEach((top, i) => {
        const [token, logprob] = [logprobs!.tokens![i + 1], logprobs!.token_logprobs![i + 1]];
        expect(top[token]).toBeGreaterThanOrEqual(logprob);
        expect(Object.keys(top).length).toBeLessThanOrEqual(3);
      });
      expect(logprobs!.text_offset![0]).toBe(0);
    }
    const pieces: Record<number, { text: string; logprobs: (number | null)[] }> = {};
    for await (const { choices } of await client.completions.create({ ...request, stream: true })) {
      for (const { index, text, logprobs } of choices) {
        pieces[index] ??= { text: '', logprobs: [] };
        pieces[index].text += text;
        pieces[index].logprobs.push(...(logprobs?.token_logprobs ?? []));
      }
    }
    expect(Object.values(pieces)).toEqual(
      choices.map(({ text, logprobs }) => ({ text, logprobs: logprobs!.token_logprobs })),
    );
    const scored = await client.completions.create({ ...request, prompt: request.prompt[0], max_tokens: 0 });
    expect(scored.choices[0].text).toBe(request.prompt[0]);
    expect(scored.choices[0].logprobs!.token_logprobs).toHaveLength(chat.encode(request.prompt[0]).length);
  });

  test('scores given tokens as the engine does', async () => {
    const prompt = loadChat(checkpoint).prompt([{ role: 'user', content: 'Say hello.' }], []);
    const request = { model, prompt, max_tokens: 0, prompt_logprobs: 2 };
    const { choices } = await client.completions.create(request);
    const scored = (
      choices[0] as unknown as { prompt_logprobs: (Record<string, { logprob: number; rank: number }> | null)[] }
    ).prompt_logprobs;
    const engine = await LocalEngine.start({ dtype: 'f32' });
    const scorer = await engine.scorer(checkpoint);
    const [{ logprobs }] = await scorer.score([{ tokens: prompt, mask: new Uint8Array(prompt.length).fill(1) }]);
    await engine.close();
    expect(scored[0]).toBeNull();
    prompt.slice(1).forEach((token, i) => {
      const entries = scored[i + 1]!;
      expect(entries[token].logprob).toBeCloseTo(logprobs[i + 1], 4);
      expect(Object.values(entries).map(({ rank }) => rank)).toEqual(expect.arrayContaining([1, 2]));
    });
  });
});

describe('by token ids', () => {
  const prompt = [5, 17, 33, 64];
  const complete = async (more: object) => {
    const { choices } = await client.completions.create({ model, prompt, seed: 3, ...more } as never);
    return choices as unknown as Record<string, unknown>[];
  };

  test('what was read and what was sampled comes back, stop token included', async () => {
    const [choice] = await complete({ max_tokens: 6, logprobs: 0, return_token_ids: true });
    expect(choice.prompt_token_ids).toEqual(prompt);
    expect(choice.token_ids).toHaveLength(6);
    const [stopped] = await complete({
      max_tokens: 6,
      return_token_ids: true,
      stop_token_ids: [(choice.token_ids as number[])[2]],
    });
    expect(stopped.token_ids).toEqual((choice.token_ids as number[]).slice(0, 3));
    expect(stopped.finish_reason).toBe('stop');
    expect(await complete({ max_tokens: 6, logprobs: 0 })).toEqual([
      { ...choice, prompt_token_ids: undefined, token_ids: undefined },
    ]);
  });

  test('prompts are scored as training scores them, with entropies', async () => {
    const prompts = [
      [...prompt, 7, 9],
      [...prompt, 8],
    ];
    const choices = await complete({ prompt: prompts, max_tokens: 0, prompt_scores: [1, 3], prompt_alternatives: 2 });
    const engine = await LocalEngine.start({ dtype: 'f32' });
    const scorer = await engine.scorer(checkpoint);
    const sequences = prompts.map(tokens => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) }));
    const scores = await scorer.score(sequences, 2);
    await engine.close();
    prompts.forEach((tokens, i) => {
      const from = [1, 3][i];
      const { prompt_scores } = choices[i] as { prompt_scores: Record<string, unknown[]> };
      expect(prompt_scores.token_ids).toEqual(tokens);
      expect(prompt_scores.tokens).toHaveLength(tokens.length - from);
      expect(prompt_scores.logprobs).toEqual([...scores[i].logprobs.slice(from)]);
      expect(prompt_scores.entropies).toEqual([...scores[i].entropies!.slice(from)]);
      const best = (prompt_scores.alternatives as [number, number][][]).flat();
      expect(best.map(([token]) => token)).toEqual([...scores[i].alternatives!.tokens.slice(2 * from)]);
    });
  });

  test('what does not go together is refused', async () => {
    for (const prompt_scores of [[1, 1], [prompt.length + 1]]) {
      await expect(complete({ prompt_scores })).rejects.toMatchObject({ param: 'prompt_scores' });
    }
    await expect(complete({ prompt_scores: [0] })).rejects.toMatchObject({ status: 400 });
    await expect(complete({ return_token_ids: true, stream: true })).rejects.toMatchObject({
      param: 'return_token_ids',
    });
  });
});

describe('what is wrong is said in the shape of OpenAI', () => {
  test.each([
    [{ ...ask('x'), temperature: -1 }, 'temperature'],
    [{ ...ask('x'), messages: [] }, 'messages'],
    [{ ...ask('x'), tool_choice: 'required' }, 'tool_choice'],
    [{ ...ask('x'), presence_penalty: 1 }, 'presence_penalty'],
    [
      {
        ...ask('x'),
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'string', pattern: 'a' } } },
      },
      'response_format.json_schema.schema',
    ],
  ])('%j', async (request, param) => {
    await expectRefused(client.chat.completions.create(request as never), param);
  });

  test('another key, another model, too long a prompt', async () => {
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'guess', maxRetries: 0 });
    await expect(stranger.chat.completions.create(ask('x'))).rejects.toThrow(OpenAI.AuthenticationError);
    await expect(client.chat.completions.create({ ...ask('x'), model: 'gpt-4' })).rejects.toThrow(OpenAI.NotFoundError);
    const long = client.chat.completions.create(ask('How warm is it? '.repeat(12_000)));
    await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });
});

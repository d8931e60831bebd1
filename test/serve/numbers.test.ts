import { expect, test } from 'vitest';
import type { SampledToken, SamplingOptions } from '../../src/engine/types.ts';
import { Recognizer, type State } from '../../src/grammar/recognizer.ts';
import { parseBody } from '../../src/serve/body.ts';
import { answerChat } from '../../src/serve/chatCompletions.ts';
import { readChat } from '../../src/serve/chatReading.ts';
import { PromptModel } from '../../src/serve/promptModel.ts';
import { ServedModel } from '../../src/serve/servedModel.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { readVocabulary } from '../../src/text/vocabulary.ts';
import { qwen3Dir } from '../text/checkpoints.ts';

const chat = loadChat(qwen3Dir);
const vocabulary = readVocabulary(qwen3Dir);
const reading = { checkpoint: qwen3Dir, names: ['m'], contextTokens: 1e6, vocabularySize: vocabulary.size };
const promptModel = new PromptModel(reading);

/** What the sampler is asked when a server is, which never answers a thing. */
async function asked(body: string): Promise<{ prompt: string; options: SamplingOptions }> {
  let request: { prompt: string; options: SamplingOptions } | undefined;
  const sampler = {
    async generate(prompt: number[], options: SamplingOptions, _: AbortSignal, onToken: (token: SampledToken) => void) {
      request = { prompt: chat.decode(prompt), options };
      const token = chat.stopTokens[0];
      onToken({ token, logprob: 0 });
      return { tokens: [token], logprobs: [0], stopReason: 'stop' };
    },
  } as unknown as ServedModel['sampler'];
  const model = new ServedModel({
    name: 'm',
    root: qwen3Dir,
    sampler,
    chats: () => chat,
    vocabulary,
    contextTokens: 1e6,
  });
  const work = structuredClone(readChat(promptModel, parseBody(Buffer.from(body))));
  await answerChat(model, work).whole(new AbortController().signal, () => {});
  return request!;
}

const schema =
  '{"type": "object", "properties": {"x": {"default": 1.0, "enum": [1.0, 12345678901234567890]}}, "required": ["x"]}';
const tools = `"tools": [{"type": "function", "function": {"name": "f", "parameters": ${schema}}}]`;
const user = '{"role": "user", "content": "x"}';
const grammarAccepts = (options: SamplingOptions, text: string) => {
  const recognizer = new Recognizer(JSON.parse(options.grammar!));
  let state: State | null = recognizer.start;
  for (const byte of Buffer.from(text)) state = state && recognizer.byte(state, byte);
  return state?.accepts ?? false;
};

test('schemas and calls of a request are shown as they were written; its own numbers are any numbers', async () => {
  const args = JSON.stringify('{"x": 12345678901234567890, "y": 1e-07}');
  const call = `{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ${args}}}]}`;
  const answer = '{"role": "tool", "tool_call_id": "1", "content": "y"}';
  const options =
    '"temperature": 1.0, "top_p": 9e-1, "max_tokens": 5.0, "seed": 7.0, "n": 1.0, "presence_penalty": 0.0';
  const { prompt, options: sampling } = await asked(
    `{"model": "m", "messages": [${user}, ${call}, ${answer}], ${tools}, ${options}}`,
  );
  expect(prompt).toContain('{"enum": [1.0, 12345678901234567890], "default": 1.0}');
  expect(prompt).toContain('"arguments": {"x": 12345678901234567890, "y": 1e-07}');
  expect(sampling).toMatchObject({ temperature: 1, topP: 0.9, maxTokens: 5, seed: 7 });
});

test('values that a schema allows are written as they were', async () => {
  const bounds = '{"type": "array", "items": {"enum": [1.0, 12345678901234567890]}, "minItems": 1.0, "maxItems": 1e0}';
  const format = `"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": ${bounds}}}`;
  const { options } = await asked(`{"model": "m", "messages": [${user}], ${format}}`);
  expect(grammarAccepts(options, '[12345678901234567890]')).toBe(true);
  expect(grammarAccepts(options, '[1.0]')).toBe(true);
  expect(grammarAccepts(options, '[12345678901234567000]')).toBe(false);
  expect(grammarAccepts(options, '[1.0,1.0]')).toBe(false);
});

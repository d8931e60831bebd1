import { expect, test } from 'vitest';
import { Recognizer, type State } from '../../src/grammar/recognizer.ts';
import { readChat } from '../../src/serve/chatReading.ts';
import { type OutputDemands, outputGrammar } from '../../src/serve/outputGrammar.ts';
import { PromptModel } from '../../src/serve/promptModel.ts';
import type { Chat } from '../../src/text/chat.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { ThoughtReader } from '../../src/text/thoughtReader.ts';
import { readVocabulary } from '../../src/text/vocabulary.ts';
import { asciiCheckpoint, qwen3Dir } from '../text/checkpoints.ts';

const vocabulary = readVocabulary(qwen3Dir);
const chat = loadChat(qwen3Dir);
const id = (marker: string) => vocabulary.controlId(marker)!;
const warmth = { type: 'object', properties: { degrees: { type: 'integer' } }, required: ['degrees'] };
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: {} } },
} as const;

/** Texts and control tokens, in a row: whether they are a whole answer. */
function fits(demands: Partial<OutputDemands>, ...parts: (string | number)[]): boolean {
  const format = { type: 'json_schema', json_schema: { name: 'warmth', schema: warmth } } as const;
  const recognizer = new Recognizer(outputGrammar({ format, vocabulary, ...demands })!);
  let state: State | null = recognizer.start;
  for (const token of parts.flatMap(part => (typeof part === 'number' ? [part] : chat.encode(part)))) {
    const bytes = vocabulary.bytes(token);
    if (bytes) for (const byte of bytes) state = state && recognizer.byte(state, byte);
    else state = state && recognizer.token(state, token);
  }
  return state?.accepts ?? false;
}

const json = '{"degrees": 12}';
const [think, done] = [id('<think>'), id('</think>')];

test('the JSON is bound by its schema, behind a thought of any kind', () => {
  expect(fits({}, json)).toBe(true);
  expect(fits({}, '{"degrees": "12"}')).toBe(false);
  expect(fits({}, think, 'Warm?', done, '\n\n', json)).toBe(false);
  expect(fits({ thought: 'possible' }, json)).toBe(true);
  expect(fits({ thought: 'possible' }, think, '\nIs {"degrees": 東京 ', done, '\n\n', json)).toBe(true);
  expect(fits({ thought: 'possible' }, think, 'Warm?', done, '\n\n', 'It is warm.')).toBe(false);
  expect(fits({ thought: 'possible' }, think, 'Warm?', done)).toBe(false);
  expect(fits({ thought: 'begun' }, 'Warm?', done, '\n\n', json)).toBe(true);
  expect(fits({ thought: 'begun' }, json)).toBe(false);
});

test('calls may come instead of the JSON, or where demanded nothing else', () => {
  const call = [id('<tool_call>'), '\n{"name": "weather", "arguments": {}}\n', id('</tool_call>')];
  expect(fits({}, ...call)).toBe(false);
  for (const thought of [undefined, 'possible'] as const) {
    expect(fits({ thought, tools: [weather] }, ...call)).toBe(true);
    expect(fits({ thought, tools: [weather] }, json)).toBe(true);
    expect(fits({ thought, tools: [weather] }, ...call, '\n', ...call)).toBe(true);
    expect(fits({ thought, tools: [weather], single: true }, ...call, '\n', ...call)).toBe(false);
    expect(fits({ thought, tools: [weather], demand: true }, json)).toBe(false);
    expect(fits({ thought, tools: [weather], demand: true }, ...call)).toBe(true);
  }
  expect(fits({ thought: 'possible', tools: [weather] }, think, 'Hm.', done, '\n\n', ...call)).toBe(true);
});

/** A model whose template writes a call in this way. */
function writing(call: string): { model: PromptModel; chat: Chat } {
  const template = `{% for m in messages %}{{ '<|' + m.role + '|>' }}
{%- if m.tool_calls %}{% set f = m.tool_calls[0].function %}${call}{% else %}{{ m.content }}{% endif %}{{ '<|end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;
  const checkpoint = asciiCheckpoint(['<|end|>', '<|user|>', '<|assistant|>', '<|tool|>'], template);
  const model = new PromptModel({ checkpoint, names: ['m'], contextTokens: 1000, vocabularySize: 100 });
  return { model, chat: loadChat(checkpoint) };
}

const ask = { model: 'm', messages: [{ role: 'user', content: 'How warm is it?' }], tools: [weather] };
const other = { type: 'function', function: { name: 'other', parameters: { type: 'object', properties: {} } } };

test("a call that is demanded is in Llama 3's JSON, where the template writes that", () => {
  const { model, chat } = writing(`{{ '{"name": "' + f.name + '", "parameters": ' + f.arguments | tojson + '}' }}`);
  const accepts = (more: object, text: string) => {
    const recognizer = new Recognizer(JSON.parse(readChat(model, { ...ask, ...more }).grammar!));
    let state: State | null = recognizer.start;
    for (const byte of Buffer.from(text)) state = state && recognizer.byte(state, byte);
    return state?.accepts ?? false;
  };
  const [call, two] = ['weather', 'other'].map(name => `{"name": "${name}", "parameters": {}}`);
  const required = { tool_choice: 'required' };
  expect(accepts(required, call)).toBe(true);
  expect(accepts(required, 'It is warm.')).toBe(false);
  expect(accepts(required, call.replace('parameters', 'arguments'))).toBe(false);
  const both = { ...required, tools: [weather, other] };
  expect(accepts(both, `${call}; ${two}`)).toBe(true);
  const { calls } = chat.parse(chat.encode(`${call}; ${two}`));
  expect(calls.map(({ name }) => name)).toEqual(['weather', 'other']);
  expect(accepts({ ...both, parallel_tool_calls: false }, `${call}; ${two}`)).toBe(false);
  const named = { ...both, tool_choice: { type: 'function', function: { name: 'other' } } };
  expect([call, two].map(text => accepts(named, text))).toEqual([false, true]);
});

test("a call in Python's form cannot be demanded, and that is said", () => {
  const { model } = writing(
    `{{ '[' + f.name + '(' }}{% for k, v in f.arguments.items() %}{{ k + '=' + v | tojson }}{% endfor %}{{ ')]' }}`,
  );
  expect(readChat(model, ask).grammar).toBeUndefined();
  expect(() => readChat(model, { ...ask, tool_choice: 'required' })).toThrow(
    /^tools: this model writes calls in Python's form, which cannot be demanded; take tool_choice "auto"/,
  );
});

test('what the grammar takes for the thought, its reader does too', () => {
  const tokens = [think, ...chat.encode('Is it warm? 😀'), done, ...chat.encode(json)];
  const reader = new ThoughtReader(vocabulary, 'possible');
  const read = tokens.map(token => reader.push(token));
  expect(read.filter(part => part !== undefined).join('')).toBe('Is it warm? 😀');
  expect(read.filter(part => part === undefined)).toHaveLength(chat.encode(json).length);
});

import { beforeAll, describe, expect, test } from 'vitest';
import { ApiError } from '../../src/serve/apiError.ts';
import { parseBody } from '../../src/serve/body.ts';
import { readChat } from '../../src/serve/chatReading.ts';
import { readCompletion } from '../../src/serve/completionReading.ts';
import { PromptModel } from '../../src/serve/promptModel.ts';
import { weatherModel } from './weatherModel.ts';

let model: PromptModel;
beforeAll(async () => {
  model = new PromptModel({
    checkpoint: await weatherModel(),
    name: 'weather',
    contextTokens: 4096,
    vocabularySize: 1000,
  });
}, 180_000);

type Read = (body: unknown) => unknown;
const chat: Read = body => readChat(model, body);
const completion: Read = body => readCompletion(model, body);

const message = (content: unknown) => ({ model: 'weather', messages: [{ role: 'user', content }] });
const said = (unit: string) => (bytes: number) => JSON.stringify(message(repeated(unit, bytes)));
const formatted = (schema: unknown) => ({
  ...message('x'),
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
});
const repeated = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / Buffer.byteLength(unit)));
/** So many things that they take about so many bytes. */
const many = <T>(bytes: number, make: (i: number) => T): T[] => {
  const each = Buffer.byteLength(JSON.stringify(make(1000))) + 1;
  return Array.from({ length: Math.ceil(bytes / each) }, (_, i) => make(i));
};
const named = (bytes: number, make: (i: number) => unknown) =>
  Object.fromEntries(many(bytes, i => [`p${i}`, make(i)] as const));

/** Bodies of about so many bytes, each wrong or costly in its own way. */
const shapes: [name: string, body: (bytes: number) => string, read: Read][] = [
  ['a string of escaped quotes that does not end', bytes => `"${repeated('\\"', bytes)}`, chat],
  ['a string of backslashes', bytes => `"${repeated('\\', bytes)}`, chat],
  ['quotes', bytes => repeated('"', bytes), chat],
  ['brackets that do not close', bytes => repeated('[', bytes), chat],
  ['objects in objects', bytes => repeated('{"a":', bytes), chat],
  ['brackets in strings', bytes => JSON.stringify({ ...message('x'), user: repeated('[{', bytes) }), chat],
  ['spaces', bytes => `${repeated(' ', bytes)}${JSON.stringify(message('x'))}`, chat],
  ['digits', bytes => `{"seed": ${repeated('1', bytes)}}`, chat],
  ['a seed and spaces', bytes => `{"seed": 12345678901234567890, "x": "${repeated('\\"seed\\"   ', bytes)}"}`, chat],
  [
    'messages',
    bytes => JSON.stringify({ ...message('x'), messages: many(bytes, () => message('x').messages[0]) }),
    chat,
  ],
  ['parts', bytes => JSON.stringify(message(many(bytes, () => ({ type: 'text', text: 'x' })))), chat],
  ['numbers for messages', bytes => `{"model": "weather", "messages": [${repeated('0,', bytes)}0]}`, chat],
  ['one word', said('a'), chat],
  ['words', said('warm '), chat],
  ['spaces in a message', said(' '), chat],
  ['line breaks', said('\n'), chat],
  ['emoji', said('😀'), chat],
  ['what begins control tokens', said('<|'), chat],
  ['control tokens as text', said('<|im_end|>'), chat],
  ['calls as text', said('<tool_call>'), chat],
  ['noncharacters', said('\uFDD0'), chat],
  [
    'half characters',
    bytes => `{"model": "weather", "messages": [{"role": "user", "content": "${repeated('\\ud83d', bytes)}"}]}`,
    chat,
  ],
  ['token ids', bytes => JSON.stringify({ model: 'weather', prompt: many(bytes, () => 999) }), completion],
  ['a reference', bytes => JSON.stringify(formatted({ $ref: `#${repeated('/a', bytes)}` })), chat],
  ['percents in a reference', bytes => JSON.stringify(formatted({ $ref: `#/${repeated('%zz', bytes)}` })), chat],
  ['an enum', bytes => JSON.stringify(formatted({ enum: many(bytes, i => `value ${i}`) })), chat],
  [
    'an enum of beginnings of each other',
    bytes => JSON.stringify(formatted({ enum: Array.from({ length: Math.sqrt(2 * bytes) }, (_, i) => 'a'.repeat(i)) })),
    chat,
  ],
  ['a constant', bytes => JSON.stringify(formatted({ const: repeated('x', bytes) })), chat],
  [
    'required names',
    bytes => JSON.stringify(formatted({ type: 'object', properties: { a: {} }, required: many(bytes, () => 'a') })),
    chat,
  ],
  ['a keyword', bytes => JSON.stringify(formatted({ [repeated('k', bytes)]: 1 })), chat],
  [
    'the text of a tool',
    bytes =>
      JSON.stringify({
        ...message('x'),
        tools: [{ type: 'function', function: { name: 'x', description: repeated('<', bytes) } }],
      }),
    chat,
  ],
  [
    'properties of a tool',
    bytes =>
      JSON.stringify({
        ...message('x'),
        tools: [
          {
            type: 'function',
            function: {
              name: 'x',
              parameters: { type: 'object', properties: named(bytes, () => ({ type: 'string' })) },
            },
          },
        ],
      }),
    chat,
  ],
];

function millisecondsOf(read: Read, body: Uint8Array): number {
  const before = process.cpuUsage();
  try {
    read(parseBody(body));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('twice the bytes take 2.5 times the time at most, up to 1 MiB', () => {
  /** Below it the clock and the collector decide. */
  const floorMs = 20;
  test.each(shapes)('%s', (_, body, read) => {
    const sizes = [2 ** 18, 2 ** 19, 2 ** 20].map(bytes => Buffer.from(body(bytes)));
    const best = sizes.map(() => Number.POSITIVE_INFINITY);
    const linear = () => best[2] <= 2.5 ** 2 * Math.max(best[0], floorMs);
    // Whatever else runs can only make a time longer: the shortest of some runs is the one that counts, and two doublings tell more
    // than one.
    for (let run = 0; run < 8 && (run === 0 || !linear()); run++) {
      sizes.forEach((bytes, i) => {
        best[i] = Math.min(best[i], millisecondsOf(read, bytes));
      });
    }
    expect(linear(), `${best.map(ms => ms.toFixed(0)).join(', ')} ms`).toBe(true);
  });
});

describe('a schema that means too much is refused with words, in bounded time and memory', () => {
  const nested = (levels: number, width: number): unknown => ({
    type: 'object',
    properties: {
      ...Object.fromEntries(Array.from({ length: width }, (_, i) => [`property ${i}`, { type: 'string' }])),
      ...(levels > 0 && { child: nested(levels - 1, width) }),
    },
  });
  const chain = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, i) => [`d${i}`, { type: 'array', items: { $ref: `#/$defs/d${i + 1}` } }]),
  );
  test.each([
    ['nested optional properties', nested(45, 60), /^$|too large|too many ways/],
    ['more of them', nested(45, 450), /too large/],
    ['references to references', { $ref: '#/$defs/d0', $defs: { ...chain, d20000: {} } }, /too large/],
    [
      'alternatives beside many properties',
      { properties: named(100_000, () => ({})), anyOf: Array(400).fill({ type: 'object' }) },
      /too large|is the most/,
    ],
    ['one that is itself', { $ref: '#' }, /no value fits/],
  ])('%s', (_, schema, words) => {
    const start = performance.now();
    let told = '';
    try {
      chat(formatted(schema));
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      told = (error as Error).message;
    }
    expect(told).toMatch(words);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

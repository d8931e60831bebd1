/** What of a body decides how it is read: the end of its route's path. */
export type Route = 'chat/completions' | 'completions' | 'responses';

export type HostileBody = [name: string, body: (bytes: number) => string, route: Route];

const message = (content: unknown) => ({ model: 'weather', max_tokens: 10, messages: [{ role: 'user', content }] });
const said = (unit: string) => (bytes: number) => JSON.stringify(message(repeated(unit, bytes)));
/** A request whose answer has to fit a schema. */
export const formatted = (schema: unknown) => ({
  ...message('x'),
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
});
const items = (input: unknown) => ({ model: 'weather', max_output_tokens: 10, input });
const call = (i: number) => ({ type: 'function_call', call_id: `${i}`, name: 'x', arguments: '{}' });
const output = (i: number) => ({ type: 'function_call_output', call_id: `${i}`, output: 'x' });
const repeated = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / Buffer.byteLength(unit)));
/** So many things that they take about so many bytes. */
const many = <T>(bytes: number, make: (i: number) => T): T[] => {
  const each = Buffer.byteLength(JSON.stringify(make(1000))) + 1;
  return Array.from({ length: Math.ceil(bytes / each) }, (_, i) => make(i));
};
const named = (bytes: number, make: (i: number) => unknown) =>
  Object.fromEntries(many(bytes, i => [`p${i}`, make(i)] as const));

/** Bodies of about so many bytes, each wrong or costly in its own way. */
export const hostileBodies: HostileBody[] = [
  ['a string of escaped quotes that does not end', bytes => `"${repeated('\\"', bytes)}`, 'chat/completions'],
  ['a string of backslashes', bytes => `"${repeated('\\', bytes)}`, 'chat/completions'],
  ['quotes', bytes => repeated('"', bytes), 'chat/completions'],
  ['brackets that do not close', bytes => repeated('[', bytes), 'chat/completions'],
  ['objects in objects', bytes => repeated('{"a":', bytes), 'chat/completions'],
  [
    'brackets in strings',
    bytes => JSON.stringify({ ...message('x'), user: repeated('[{', bytes) }),
    'chat/completions',
  ],
  ['spaces', bytes => `${repeated(' ', bytes)}${JSON.stringify(message('x'))}`, 'chat/completions'],
  ['digits', bytes => `{"seed": ${repeated('1', bytes)}}`, 'chat/completions'],
  [
    'a seed and spaces',
    bytes => `{"seed": 12345678901234567890, "x": "${repeated('\\"seed\\"   ', bytes)}"}`,
    'chat/completions',
  ],
  [
    'messages',
    bytes => JSON.stringify({ ...message('x'), messages: many(bytes, () => message('x').messages[0]) }),
    'chat/completions',
  ],
  ['parts', bytes => JSON.stringify(message(many(bytes, () => ({ type: 'text', text: 'x' })))), 'chat/completions'],
  [
    'numbers for messages',
    bytes => `{"model": "weather", "messages": [${repeated('0,', bytes)}0]}`,
    'chat/completions',
  ],
  ['one word', said('a'), 'chat/completions'],
  ['words', said('warm '), 'chat/completions'],
  ['spaces in a message', said(' '), 'chat/completions'],
  ['line breaks', said('\n'), 'chat/completions'],
  ['emoji', said('😀'), 'chat/completions'],
  ['what begins control tokens', said('<|'), 'chat/completions'],
  ['control tokens as text', said('<|im_end|>'), 'chat/completions'],
  ['calls as text', said('<tool_call>'), 'chat/completions'],
  ['noncharacters', said('\uFDD0'), 'chat/completions'],
  [
    'half characters',
    bytes => `{"model": "weather", "messages": [{"role": "user", "content": "${repeated('\\ud83d', bytes)}"}]}`,
    'chat/completions',
  ],
  [
    'token ids',
    bytes => JSON.stringify({ model: 'weather', max_tokens: 10, prompt: many(bytes, () => 999) }),
    'completions',
  ],
  ['items', bytes => JSON.stringify(items(many(bytes, () => ({ role: 'user', content: 'x' })))), 'responses'],
  [
    'calls and their outputs, the last first',
    bytes => JSON.stringify(items([...many(bytes / 2, call), ...many(bytes / 2, output).reverse()])),
    'responses',
  ],
  ['a reference', bytes => JSON.stringify(formatted({ $ref: `#${repeated('/a', bytes)}` })), 'chat/completions'],
  [
    'percents in a reference',
    bytes => JSON.stringify(formatted({ $ref: `#/${repeated('%zz', bytes)}` })),
    'chat/completions',
  ],
  ['an enum', bytes => JSON.stringify(formatted({ enum: many(bytes, i => `value ${i}`) })), 'chat/completions'],
  [
    'an enum of beginnings of each other',
    bytes => JSON.stringify(formatted({ enum: Array.from({ length: Math.sqrt(2 * bytes) }, (_, i) => 'a'.repeat(i)) })),
    'chat/completions',
  ],
  ['a constant', bytes => JSON.stringify(formatted({ const: repeated('x', bytes) })), 'chat/completions'],
  [
    'required names',
    bytes => JSON.stringify(formatted({ type: 'object', properties: { a: {} }, required: many(bytes, () => 'a') })),
    'chat/completions',
  ],
  ['a keyword', bytes => JSON.stringify(formatted({ [repeated('k', bytes)]: 1 })), 'chat/completions'],
  [
    'the text of a tool',
    bytes =>
      JSON.stringify({
        ...message('x'),
        tools: [{ type: 'function', function: { name: 'x', description: repeated('<', bytes) } }],
      }),
    'chat/completions',
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
    'chat/completions',
  ],
];

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

const choice = (i: number) => ({ type: 'string', minLength: i % 40, maxLength: 200 + i });

/** Schemas that are small to write and mean much. */
export const costlySchemas: Record<string, unknown> = {
  'nested optional properties': nested(45, 60),
  'more of them': nested(45, 450),
  'references to references': { $ref: '#/$defs/d0', $defs: { ...chain, d20000: {} } },
  'alternatives beside many properties': {
    properties: named(100_000, () => ({})),
    anyOf: Array(400).fill({ type: 'object' }),
  },
  'alternatives of strings with lengths': { anyOf: Array.from({ length: 200 }, (_, i) => choice(i)) },
  'an enum of 15,000': { enum: Array.from({ length: 15_000 }, (_, i) => `value ${(i * 7919) % 100_000}`) },
  'one that is itself': { $ref: '#' },
};

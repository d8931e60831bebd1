import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { UserError } from '../../src/errors.ts';
import { jsonObjectGrammar, jsonSchemaGrammar } from '../../src/grammar/jsonSchema.ts';
import { Recognizer, type State } from '../../src/grammar/recognizer.ts';
import { Random } from '../../src/random.ts';

function fits(recognizer: Recognizer, text: string): boolean {
  let state: State | null = recognizer.start;
  for (const byte of Buffer.from(text)) {
    state = recognizer.byte(state, byte);
    if (!state) return false;
  }
  return state.accepts;
}

const accepts = (schema: unknown, text: string) => fits(new Recognizer(jsonSchemaGrammar(schema)), text);

/** A text that the grammar allows, byte by byte of chance; ends as soon as it may once it is long. */
function walk(recognizer: Recognizer, random: Random): string {
  const bytes: number[] = [];
  let state = recognizer.start;
  for (;;) {
    const next = Array.from({ length: 256 }, (_, byte) => byte).filter(byte => recognizer.byte(state, byte));
    if (state.accepts && (next.length === 0 || bytes.length > 50 || random.uniform() < 0.3)) break;
    const closing = next.filter(byte => '"]}0'.includes(String.fromCharCode(byte)));
    const choice = bytes.length > 200 && closing.length > 0 ? closing : next;
    const byte = choice[random.below(choice.length)];
    bytes.push(byte);
    state = recognizer.byte(state, byte)!;
  }
  return Buffer.from(bytes).toString('utf8');
}

const name = fc.constantFrom('a', 'b', 'ß', 'a b', '"');
const { schema: anySchema } = fc.letrec<{ schema: Record<string, unknown> }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom({ type: 'boolean' }, { type: 'null' }, { type: 'number' }, { type: 'number', minimum: 0 }),
    fc.tuple(fc.integer({ min: -500, max: 500 }), fc.nat(2000)).map(([minimum, more]) => ({
      type: 'integer',
      minimum,
      maximum: minimum + more,
    })),
    fc
      .tuple(fc.nat(3), fc.nat(5))
      .map(([minLength, more]) => ({ type: 'string', minLength, maxLength: minLength + more })),
    fc
      .uniqueArray(fc.oneof(fc.string(), fc.integer(), fc.boolean()), { minLength: 1, maxLength: 4 })
      .map(list => ({ enum: list })),
    fc.tuple(tie('schema'), fc.nat(2), fc.nat(2)).map(([items, minItems, more]) => ({
      type: 'array',
      items,
      minItems,
      maxItems: minItems + more,
    })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map(anyOf => ({ anyOf })),
    fc.dictionary(name, fc.tuple(tie('schema'), fc.boolean()), { maxKeys: 4 }).map(entries => ({
      type: 'object',
      properties: Object.fromEntries(Object.entries(entries).map(([key, [schema]]) => [key, schema])),
      required: Object.keys(entries).filter(key => entries[key][1]),
      additionalProperties: false,
    })),
  ),
}));

test('whatever a grammar allows is JSON that fits its schema', () => {
  fc.assert(
    fc.property(anySchema, fc.nat(), (schema, seed) => {
      const recognizer = new Recognizer(jsonSchemaGrammar(schema));
      const judge = z.fromJSONSchema(schema);
      for (let i = 0; i < 5; i++) {
        const text = walk(recognizer, Random.of(seed, i));
        expect(judge.safeParse(JSON.parse(text)).error?.issues, text).toBeUndefined();
      }
    }),
    { numRuns: 150 },
  );
});

test('any JSON object, as JavaScript and as Python write it', () => {
  const recognizer = new Recognizer(jsonObjectGrammar());
  const wellFormed = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }));
  fc.assert(
    fc.property(wellFormed, value => {
      // Only numbers of more digits than a double tells apart, and lone surrogates, are left out.
      const text = JSON.stringify(value);
      fc.pre(!/\\u[dD]/.test(text) && !text.includes('\u007f') && !/e[+-]\d{3}|\d{17}/.test(text));
      expect(fits(recognizer, text), text).toBe(true);
      expect(fits(recognizer, JSON.stringify(value, null, 1))).toBe(true);
    }),
  );
});

test('whole numbers within bounds, no other', () => {
  const bound = fc.integer({ min: -1200, max: 1200 });
  fc.assert(
    fc.property(bound, fc.nat(1500), (minimum, more) => {
      const maximum = minimum + more;
      const recognizer = new Recognizer(jsonSchemaGrammar({ type: 'integer', minimum, maximum }));
      for (let n = minimum - 12; n <= maximum + 12; n += Math.max(1, Math.floor(more / 40))) {
        expect(fits(recognizer, String(n)), `${n} in ${minimum} to ${maximum}`).toBe(n >= minimum && n <= maximum);
      }
      for (const end of [minimum, maximum]) expect(fits(recognizer, String(end))).toBe(true);
    }),
    { numRuns: 60 },
  );
  const { MAX_SAFE_INTEGER: most, MIN_SAFE_INTEGER: least } = Number;
  for (const end of [most, least, 0])
    expect(accepts({ type: 'integer', minimum: least, maximum: most }, `${end}`)).toBe(true);
  expect(accepts({ type: 'integer' }, `${most}0`)).toBe(false);
  expect(accepts({ type: 'integer', exclusiveMinimum: 0 }, '0')).toBe(false);
  expect(accepts({ type: 'integer' }, '007')).toBe(false);
});

test('numbers within bounds, no other', () => {
  const bound = fc.double({ min: -30, max: 30, noNaN: true }).map(value => Number(value.toFixed(2)));
  fc.assert(
    fc.property(bound, bound, fc.boolean(), fc.boolean(), (a, b, above, below) => {
      fc.pre(a !== b);
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const recognizer = new Recognizer(
        jsonSchemaGrammar({
          type: 'number',
          [above ? 'exclusiveMinimum' : 'minimum']: low,
          [below ? 'exclusiveMaximum' : 'maximum']: high,
        }),
      );
      const holds = (n: number) => (above ? n > low : n >= low) && (below ? n < high : n <= high);
      for (const near of [low, high, 0, (low + high) / 2]) {
        for (const step of [-10, -1, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 1, 10]) {
          const text = (near + step).toFixed(3);
          expect(fits(recognizer, text), `${text} in ${low} to ${high}`).toBe(holds(Number(text)));
          const short = String(Number(text));
          expect(fits(recognizer, short), `${short} in ${low} to ${high}`).toBe(holds(Number(text)));
        }
      }
    }),
    { numRuns: 200 },
  );
  expect(accepts({ type: 'number', exclusiveMinimum: 0 }, '0.0')).toBe(false);
  expect(accepts({ type: 'number', minimum: 0 }, '12345.678')).toBe(true);
  expect(accepts({ type: 'number', maximum: 1e-7 }, '0.0000001')).toBe(true);
  expect(accepts({ type: 'number', maximum: 1e-7 }, '0.0000002')).toBe(false);
});

test('items of a list of different ones come once each, in the order of the enum', () => {
  const schema = { type: 'array', items: { $ref: '#/$defs/C' }, uniqueItems: true, minItems: 1, maxItems: 2 };
  const color = { ...schema, $defs: { C: { enum: ['red', 'green', 'blue'] } } };
  for (const text of ['["red"]', '["red", "blue"]', '["green", "blue"]']) expect(accepts(color, text), text).toBe(true);
  for (const text of ['[]', '["red", "red"]', '["red", "green", "blue"]']) {
    expect(accepts(color, text), text).toBe(false);
  }
  expect(accepts({ type: 'array', items: { type: 'boolean' }, uniqueItems: true }, '[true, false]')).toBe(true);
  expect(accepts({ type: 'array', items: { type: 'string' }, uniqueItems: true, maxItems: 1 }, '["a"]')).toBe(true);
});

describe('formats of strings', () => {
  test.each([
    ['date', ['2024-02-29', '2000-02-29', '1999-12-31'], ['2023-02-29', '1900-02-29', '2024-04-31', '2024-13-01']],
    ['date-time', ['2024-01-31T23:59:59Z', '2024-01-31T00:00:00.125Z'], ['2024-01-31', '2024-01-31T24:00:00Z']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567e89b12d3a456426614174000']],
    ['ipv4', ['192.168.0.255'], ['192.168.0.256', '1.2.3']],
    ['email', ['a.b@example.org'], ['a', 'a@b']],
    ['uri', ['https://example.org/a/b'], ['example.org']],
  ])('%s', (format, right, wrong) => {
    const schema = { type: 'string', format };
    for (const text of right) expect(accepts(schema, JSON.stringify(text)), text).toBe(true);
    for (const text of wrong) expect(accepts(schema, JSON.stringify(text)), text).toBe(false);
  });

  test.each([
    ['date', z.iso.date()],
    ['date-time', z.iso.datetime()],
    ['duration', z.iso.duration()],
    ['email', z.email()],
    ['hostname', z.hostname()],
    ['ipv4', z.ipv4()],
    ['ipv6', z.ipv6()],
    ['uri', z.url()],
    ['uuid', z.guid()],
  ])('what comes out as %s is one', (format, judge) => {
    const recognizer = new Recognizer(jsonSchemaGrammar({ type: 'string', format }));
    for (let seed = 0; seed < 50; seed++) {
      const text = JSON.parse(walk(recognizer, Random.of(format, seed)));
      expect(judge.safeParse(text).success, text).toBe(true);
    }
  });
});

test("Pydantic's discriminated unions are followed", () => {
  const variant = (kind: string) => ({ type: 'object', properties: { kind: { const: kind } }, required: ['kind'] });
  const schema = {
    oneOf: [{ $ref: '#/$defs/Cat' }, { $ref: '#/$defs/Dog' }],
    discriminator: { propertyName: 'kind', mapping: { cat: '#/$defs/Cat', dog: '#/$defs/Dog' } },
    $defs: { Cat: variant('cat'), Dog: variant('dog') },
  };
  expect(accepts(schema, '{"kind": "dog"}')).toBe(true);
  expect(accepts(schema, '{"kind": "cow"}')).toBe(false);
});

test('a schema may refer to itself', () => {
  const tree = {
    type: 'object',
    properties: { left: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
    required: ['left'],
  };
  expect(accepts(tree, '{"left": {"left": {"left": null}}}')).toBe(true);
  expect(accepts(tree, '{"left": {}}')).toBe(false);
});

describe('what is not supported is named with its place', () => {
  const deep = (levels: number): unknown => (levels ? { type: 'array', items: deep(levels - 1) } : { pattern: 'x' });
  const bomb = (levels: number): unknown =>
    levels ? { anyOf: [{}, {}], properties: { a: bomb(levels - 1) }, type: 'object' } : { type: 'string' };
  test.each([
    [{ type: 'object', properties: { a: { pattern: 'x' } } }, "schema.properties.a: the keyword 'pattern'"],
    [{ type: 'nothing' }, 'schema.type: "nothing" is no type'],
    [{ type: 'number', minimum: 3, exclusiveMaximum: 3 }, 'schema: no number is within its bounds'],
    [
      { type: 'array', items: { type: 'string' }, uniqueItems: true },
      'schema.uniqueItems: is supported only for items',
    ],
    [{ type: 'string', format: 'regex' }, 'schema.format: "regex" is not supported'],
    [{ $ref: '#/%zz' }, 'schema.$ref: the schema has nothing at #/%zz'],
    [{ $ref: '#/$defs/a', $defs: { a: {} }, maxLength: 3 }, "the keyword 'maxLength' beside $ref"],
    [{ type: 'integer', minimum: 3, maximum: 2 }, 'schema: no whole number'],
    [{ $ref: 'https://example.org/schema' }, 'schema.$ref: only places within the same schema'],
    [{ $ref: '#/nowhere' }, 'schema.$ref: the schema has nothing at #/nowhere'],
    [{ type: 'object', required: ['a'] }, 'schema.required: "a" is not among its properties'],
    [{ enum: [] }, 'schema.enum: is empty'],
    [{ allOf: [{ type: 'string' }, { type: 'integer' }] }, "schema: two values of 'type'"],
    [deep(50), "the keyword 'pattern'"],
    [bomb(40), 'the schema is too large'],
    [false, 'schema: a JSON Schema is an object'],
  ])('%j', (schema, message) => {
    expect(() => jsonSchemaGrammar(schema)).toThrow(UserError);
    expect(() => jsonSchemaGrammar(schema)).toThrow(message);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  escapeControls,
  numberAsWritten,
  parseJson,
  plainNumbers,
  pythonFloat,
  pythonJson,
  stringifyJson,
  WrittenNumber,
} from '../src/json.ts';

const literals = ['1.0', '-0', '-0.0', '1e-07', '1E5', '1e400', '0.10', '12345678901234567890', '-9223372036854775808'];
const kept = ['0', '-1', '1.5', '0.00001', '9007199254740991', '1e-7', '1e+21'];

const anyNumber = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.nat(),
    fc.option(fc.stringMatching(/^[0-9]{1,20}$/)),
    fc.option(fc.integer({ min: -400, max: 400 })),
  )
  .map(([sign, whole, fraction, exponent]) =>
    [sign, whole, ...(fraction === null ? [] : ['.', fraction]), ...(exponent === null ? [] : ['e', exponent])].join(
      '',
    ),
  );

describe('numbers of JSON', () => {
  it.each([...literals, ...kept])('%s stays as it was written', literal => {
    const text = `{"a":[${literal},{"b":${literal}}],"n${literal}":"${literal}"}`;
    expect(stringifyJson(parseJson(text))).toBe(text);
    expect(stringifyJson(parseJson(literal))).toBe(literal);
    expect(pythonJson(parseJson(text))).toBe(text.replaceAll('":', '": ').replace(',{', ', {').replace('],', '], '));
  });

  it('are JavaScript’s own where that is the same', () => {
    expect(parseJson(`[${kept.join()}]`)).toEqual(kept.map(Number));
    for (const literal of literals) expect(parseJson(literal)).toBeInstanceOf(WrittenNumber);
  });

  it('stay as they were written whatever they are, and are what JSON.parse says to those who calculate', () => {
    fc.assert(
      fc.property(fc.array(anyNumber), numbers => {
        const text = `[${numbers.join()}]`;
        expect(stringifyJson(parseJson(text))).toBe(text);
        expect(plainNumbers(parseJson(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('are written by JSON.stringify as it can', () => {
    expect(JSON.stringify({ a: numberAsWritten('1.0') })).toBe('{"a":1}');
    expect(stringifyJson([12345678901234567890n])).toBe('[12345678901234567890]');
  });

  it.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.25e-7, '1.25e-07'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1e100, '1e+100'],
    [5e-324, '5e-324'],
    [Math.fround(0.1), '0.10000000149011612'],
  ])('a double %d is written by Python as %s', (value, text) => {
    expect(String(pythonFloat(value))).toBe(text);
  });
});

describe('JSON', () => {
  it('is read as JSON.parse reads it, and written as JSON.stringify writes it', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), text => {
        expect(plainNumbers(parseJson(text))).toEqual(JSON.parse(text));
        expect(stringifyJson(JSON.parse(text), 2)).toBe(JSON.stringify(JSON.parse(text), null, 2));
      }),
    );
  });

  it('may have any keys', () => {
    const value = parseJson('{"__proto__":{"x":1.0},"constructor":2,"a":1,"a":2.0}');
    expect(stringifyJson(value)).toBe('{"__proto__":{"x":1.0},"constructor":2,"a":2.0}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    '',
    '{',
    '[1.0',
    '{1.0:2}',
    '[1.0 2.0]',
    '1.0.0',
    '01',
    '1.',
    '.5',
    '-',
    '1e',
    'NaN',
    '"1.0',
    '1.0"',
    '[1.0,]',
    '"\n"',
  ])('is refused where it is none: %s', text => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
    expect(messageOf(() => parseJson(text))).toBe(messageOf(() => JSON.parse(text)));
  });

  it('is refused where it is nested more than 1,000 deep', () => {
    const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}1.0${'}]'.repeat(depth / 2)}`;
    expect(stringifyJson(parseJson(nested(1000)))).toBe(nested(1000));
    expect(() => parseJson(nested(1002))).toThrow('nested more than 1000 deep');
    expect(() => parseJson(nested(1_000_000))).toThrow('nested more than 1000 deep');
    expect(parseJson(JSON.stringify(nested(10_000)))).toBe(nested(10_000));
  });

  it('gets escapes for control characters in its strings, and only there', () => {
    const text = '{\n"a\t": "\u0000\\"\r\n\\\\",\t"b":1}';
    expect(JSON.parse(escapeControls(text))).toEqual({ 'a\t': '\u0000"\r\n\\', b: 1 });
    fc.assert(
      fc.property(fc.json(), json => {
        expect(escapeControls(json)).toBe(json);
      }),
    );
  });

  it.each([
    ['open strings', '"\\"'],
    ['backslashes', '\\'],
    ['quotes', '"'],
    ['numbers', '1.0,'],
    ['brackets', '[]'],
  ])('takes time in proportion to its length: %s', (_, unit) => {
    const seconds = (length: number) => {
      const text = unit.repeat(length / unit.length);
      const began = performance.now();
      escapeControls(text);
      expect(() => parseJson(text)).toThrow(SyntaxError);
      return (performance.now() - began) / 1000;
    };
    seconds(2 ** 16);
    expect(seconds(2 ** 20)).toBeLessThan(2);
  });
});

function messageOf(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

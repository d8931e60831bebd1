import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lastPythonBlock } from '../../../src/rewards/code/pythonBlock.ts';
import { sameOutput } from '../../../src/rewards/code/sameOutput.ts';
import { sameValue } from '../../../src/rewards/code/sameValue.ts';

test.each([
  ['1 2 3\n', '1 2 3'],
  ['  1 2 3  \n\n', '1 2 3'],
  ['a \nb\t\n', ' a\nb'],
  ['a\r\nb\r\n', 'a\nb'],
  ['1.0 2', '1 2.000'],
  ['1e2', '100'],
  ['-0', '0.0'],
  ['.5', '0.50'],
  ['+7', '7'],
  ['1   2', '1 2'],
  ['00012', '12'],
  ['100000000000000000000000000000001', '100000000000000000000000000000001.0'],
  ['a\n\nb', 'a\n\nb'],
  ['', '\n'],
])('%j is the output %j', (written, wanted) => {
  expect(sameOutput(written, wanted)).toBe(true);
  expect(sameOutput(wanted, written)).toBe(true);
});

test.each([
  ['1 2', '1 2 3'],
  ['1\n2', '1 2'],
  ['a\nb', 'a\n\nb'],
  ['yes', 'Yes'],
  ['0.1', '0.10000000000000001'],
  ['100000000000000000000000000000001', '100000000000000000000000000000002'],
  ['9007199254740993', '9007199254740992'],
  ['-1', '1'],
  ['1 a', '1.0 a'],
  ['1e3', '1e4'],
  ['', '0'],
  ['1,000', '1000'],
  ['0x10', '16'],
  ['.', '0'],
])('%j is not the output %j', (written, wanted) => {
  expect(sameOutput(written, wanted)).toBe(false);
  expect(sameOutput(wanted, written)).toBe(false);
});

test('a number is the same however it is written', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(30), fc.nat(5), (digits, places, zeros) => {
      const scaled = `${digits}${'0'.repeat(zeros)}e-${places + zeros}`;
      expect(sameOutput(scaled, `${digits}E-${places}`)).toBe(true);
      expect(sameOutput(scaled, `${digits + 1n}E-${places}`)).toBe(false);
    }),
  );
});

test.each([
  ['1', '1.0'],
  ['true', '1'],
  ['[1, [2, {"a": null}]]', '[1.0,[2,{"a":null}]]'],
  ['12345678901234567890123', '12345678901234567890123'],
  ['0.1', '0.10000000000000001'],
  ['1e400', '1e999'],
  ['{"a": 1, "b": 2}', '{"b": 2, "a": 1}'],
  ['"é"', '"\\u00e9"'],
])('%s is the value %s', (result, wanted) => {
  expect(sameValue(result, wanted)).toBe(true);
});

test.each([
  ['1', '2'],
  ['12345678901234567890123', '12345678901234567890124'],
  ['9007199254740993', '9007199254740992.0'],
  ['[1]', '[1, 1]'],
  ['[1, 2]', '[2, 1]'],
  ['"1"', '1'],
  ['null', 'false'],
  ['{"a": 1}', '{"a": 1, "b": 1}'],
  ['{"a": 1}', '{"__proto__": 1}'],
  ['NaN', 'NaN'],
  ['', '0'],
])('%s is not the value %s', (result, wanted) => {
  expect(sameValue(result, wanted)).toBe(false);
});

test('the last closed Python block is the program', () => {
  const block = (code: string, word = 'python') => `\`\`\`${word}\n${code}\n\`\`\``;
  expect(lastPythonBlock(`First\n${block('a')}\nthen\n${block('b\n\nc')}\nDone.`)).toBe('b\n\nc\n');
  expect(lastPythonBlock(`${block('a')}\n${block('b', 'json')}`)).toBe('a\n');
  expect(lastPythonBlock(`${block('a', 'py')}\n\`\`\`python\nb`)).toBe('a\n');
  expect(lastPythonBlock(block('a', ' Python3'))).toBe('a\n');
  expect(lastPythonBlock(block('a', ''))).toBeUndefined();
  expect(lastPythonBlock('no block')).toBeUndefined();
});

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

test.each([
  ['in a list item', '1. So:\n\n   ```python\n   if x:\n       y\n\n   z\n   ```\n2. Done.', 'if x:\n    y\n\nz\n'],
  ['behind the mark of a list item', '- ```py\n  x\n  ```', 'x\n'],
  ['in an item of an item', '* a\n  1) b\n\n      ~~~python3\n      x\n      ~~~', 'x\n'],
  ['indented as a whole', '```python\n    if x:\n        y\n```', 'if x:\n    y\n'],
  ['indented with tabs', '\t```python\n\tif x:\n\t\ty\n\t```', 'if x:\n\ty\n'],
  ['with text less indented than its fence', '  ```python\n  x = """\na\n"""\n  ```', 'x = """\na\n"""\n'],
  ['between four backticks', '````python\nx = """\n```\ny\n```\n"""\n````', 'x = """\n```\ny\n```\n"""\n'],
  ['closed by a longer fence', '```python\nx\n`````', 'x\n'],
  ['between tildes', '~~~python\nx\n```\n~~~', 'x\n```\n'],
  [
    'with a fence in a docstring',
    '```python\ndef f():\n    """\n    ```python\n    f()\n    ```\n    """\n    return 1\n```\nThat is all.',
    'def f():\n    """\n    ```python\n    f()\n    ```\n    """\n    return 1\n',
  ],
  [
    'with a fence in a docstring, little indented',
    '```python\ndef f():\n  """\n  ```\n  f()\n  ```\n  """\n```',
    'def f():\n  """\n  ```\n  f()\n  ```\n  """\n',
  ],
  ['begun anew', '```python\nx\n```python\ny\n```', 'y\n'],
  ['within another one', '````markdown\n```python\nx\n```\n````', 'x\n'],
  ['with carriage returns', '```python\r\nx\r\ny\r\n```\r\n', 'x\ny\n'],
  ['without lines', '```python\n```', ''],
])('a block %s is read', (_, answer, code) => {
  expect(lastPythonBlock(answer)).toBe(code);
});

test.each([
  ['by a shorter fence', '````python\nx\n```'],
  ['by another fence', '~~~python\nx\n```'],
  ['by a fence of a docstring', '```python\n"""\n    ```\n'],
])('a block that is closed only %s is none', (_, answer) => {
  expect(lastPythonBlock(answer)).toBeUndefined();
});

test('long numbers are compared in time that grows with their length', () => {
  const zeros = '0'.repeat(300_000);
  const began = performance.now();
  expect(sameOutput(`1${zeros}1`, `1${zeros}2`)).toBe(false);
  expect(sameOutput(`1${zeros}1.0`, `1${zeros}1`)).toBe(true);
  expect(performance.now() - began).toBeLessThan(2000);
});

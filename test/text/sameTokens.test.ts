import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { refuseOtherTokens } from '../../src/text/sameTokens.ts';
import { asciiCheckpoint, qwen3Dir } from './checkpoints.ts';

const student = asciiCheckpoint(['<end>', '<user>'], '');

test('a teacher may know more tokens than its student', () => {
  expect(() => refuseOtherTokens(student, student)).not.toThrow();
  expect(() => refuseOtherTokens(student, asciiCheckpoint(['<end>', '<user>', '<tool>'], ''))).not.toThrow();
});

test.each([
  [
    'that has another number for a token',
    asciiCheckpoint(['<user>', '<end>'], ''),
    "'<end>' is token 96, where it is 97",
  ],
  ['that lacks one', asciiCheckpoint(['<end>'], ''), "'<user>' is token 97, where there is none"],
  ['of another family', qwen3Dir, 'another tokenizer'],
])('a teacher %s is refused', (_, teacher, message) => {
  expect(() => refuseOtherTokens(student, teacher)).toThrow(UserError);
  expect(() => refuseOtherTokens(student, teacher)).toThrow(message);
});

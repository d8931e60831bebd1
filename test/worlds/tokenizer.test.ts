import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { pythonTool } from '../../src/tools/python/tool.ts';
import { toolSchema } from '../../src/tools/schema.ts';
import { trainBpe } from '../../src/worlds/bpe.ts';
import { shopWorld } from '../../src/worlds/shop/world.ts';
import { writeTokenizer } from '../../src/worlds/tokenizer.ts';

const pool = new PythonPool();
const world = shopWorld({ python: () => pythonTool(pool.session()) });
const dirs = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'tokenizer-')));
let vocabularySize: number;
let tokenizer: Tokenizer;

beforeAll(async () => {
  for (const dir of dirs) ({ vocabularySize } = await writeTokenizer(dir, world, { demonstrations: 100 }));
  tokenizer = new Tokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
});
afterAll(async () => {
  for (const dir of dirs) rmSync(dir, { recursive: true });
  await pool.close();
});

const json = (file: string) => JSON.parse(readFileSync(join(dirs[0], file), 'utf8'));

test('the same world gives the same files', () => {
  expect(readdirSync(dirs[0]).toSorted()).toEqual([
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  for (const file of readdirSync(dirs[0])) {
    expect(readFileSync(join(dirs[1], file))).toEqual(readFileSync(join(dirs[0], file)));
  }
});

test('every text survives, whatever its bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), text => {
      const { ids } = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text.normalize('NFC'));
      expect(ids.every((id: number) => id < vocabularySize)).toBe(true);
    }),
  );
});

test('every id has a token of its own, and every digit is one', () => {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => tokenizer.id_to_token(id));
  expect(new Set(tokens).size).toBe(vocabularySize);
  expect(tokenizer.id_to_token(vocabularySize)).toBeUndefined();
  expect(tokenizer.encode('3*17+52').tokens).toEqual([...'3*17+52']);
});

test('control tokens are one token each and end the turn as in Qwen3', () => {
  for (const token of [
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<tool_call>',
    '</tool_call>',
    '<tool_response>',
  ]) {
    expect(tokenizer.encode(token).ids).toHaveLength(1);
  }
  expect(json('generation_config.json').eos_token_id[0]).toBe(tokenizer.encode('<|im_end|>').ids[0]);
});

test('a dialogue of the world is short, and reads back as it was written', async () => {
  const chat = loadChat(dirs[0]);
  for (let index = 0; index < 20; index++) {
    const task = world.task('test', index);
    const prompt = chat.prompt(task.messages, world.tools(task).map(toolSchema));
    expect(prompt.length).toBeLessThan(70);
    expect(chat.decode(prompt)).toContain(task.messages[0].content);
    for (const message of await world.demonstrate(task, Random.of(index))) {
      if (message.role !== 'assistant') continue;
      const turn = chat.turn(message);
      expect(turn.length).toBeLessThan(50);
      expect(chat.parse(turn).calls).toEqual(message.toolCalls ?? []);
    }
  }
});

test('byte pairs are joined by frequency, then by alphabet, as long as they occur often enough', () => {
  const words = new Map([
    ['aaab', 2],
    ['ba', 5],
    ['cd', 1],
  ]);
  const { tokens, merges } = trainBpe(words, { size: 1000 });
  expect(merges).toEqual([
    ['b', 'a'],
    ['a', 'a'],
    ['a', 'b'],
    ['aa', 'ab'],
  ]);
  expect(tokens.slice(256)).toEqual(['ba', 'aa', 'ab', 'aaab']);
  expect(trainBpe(words, { size: 258 }).merges).toEqual(merges.slice(0, 2));
});

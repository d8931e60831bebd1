import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import type { Grammar } from '../../src/grammar/grammar.ts';
import { jsonSchemaGrammar } from '../../src/grammar/jsonSchema.ts';
import { Recognizer, type State } from '../../src/grammar/recognizer.ts';
import { TokenMasks } from '../../src/grammar/tokenMasks.ts';
import { Random } from '../../src/random.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { readVocabulary, type Vocabulary } from '../../src/text/vocabulary.ts';
import { weatherModel } from '../serve/weatherModel.ts';

const schema = {
  type: 'object',
  properties: {
    city: { type: 'string', maxLength: 9 },
    degrees: { type: 'array', items: { type: 'integer' }, maxItems: 3 },
  },
  required: ['city', 'degrees'],
};
const grammar = jsonSchemaGrammar(schema);

let checkpoint: string;
let vocabulary: Vocabulary;
let engine: LocalEngine;
beforeAll(async () => {
  checkpoint = await weatherModel();
  vocabulary = readVocabulary(checkpoint);
  engine = await LocalEngine.start({ dtype: 'f32' });
}, 180_000);
afterAll(() => engine.close());

test('a mask allows exactly the tokens whose bytes the grammar allows, and stop tokens at its end', () => {
  const recognizer = new Recognizer(grammar);
  const stop = [loadChat(checkpoint).stopTokens[0]];
  const follow = (from: State, token: number): State | null => {
    let state: State | null = from;
    const bytes = vocabulary.bytes(token);
    if (!bytes?.length) return null;
    for (const byte of bytes) state = state && recognizer.byte(state, byte);
    return state;
  };
  for (let seed = 0; seed < 10; seed++) {
    const masks = new TokenMasks(vocabulary, vocabulary.size);
    const walk = masks.begin(JSON.stringify(grammar), stop);
    let mask = masks.advance(walk, []);
    const random = Random.of('walk', seed);
    let state = recognizer.start;
    for (let step = 0; step < 40; step++) {
      const allowed = Array.from({ length: vocabulary.size }, (_, id) => id).filter(
        id => (mask[id >> 5] >> (id & 31)) & 1,
      );
      const expected = Array.from({ length: vocabulary.size }, (_, id) => id).filter(
        id => follow(state, id) || (state.accepts && stop.includes(id)),
      );
      expect(allowed).toEqual(expected);
      const token = allowed[random.below(allowed.length)];
      if (stop.includes(token)) break;
      mask = masks.advance(walk, [token]);
      state = follow(state, token)!;
    }
  }
});

test('a grammar that means too much is told where it is followed, and hinders no other', () => {
  const masks = new TokenMasks(vocabulary, vocabulary.size, { steps: 200_000, bytes: 1 << 20 });
  const small = masks.begin(JSON.stringify(grammar), []);
  const expected = [...masks.advance(small, [])];
  // Distinct numbers of optional letters: each letter leads to as many places as there are ways to have come so far.
  const optional = { repeat: [{ text: 'a' }], min: 0, max: 1 };
  const many: Grammar = { rules: { root: [[{ text: 'b' }, ...Array(4000).fill(optional), { text: 'c' }]] } };
  const [a, b] = ['a', 'b'].map(text => loadChat(checkpoint).encode(text));
  const walk = masks.begin(JSON.stringify(many), []);
  const follow = () => {
    masks.advance(walk, b);
    for (let i = 0; i < 100; i++) masks.advance(walk, a);
  };
  expect(follow).toThrow(/too large|too many ways/);
  expect([...masks.advance(masks.begin(JSON.stringify(grammar), []), [])]).toEqual(expected);
});

test('the engine follows a grammar, says how likely that was, and its neighbours notice nothing', async () => {
  const sampler = await engine.sampler(checkpoint);
  const chat = loadChat(checkpoint);
  const prompt = chat.prompt([{ role: 'user', content: 'How warm is it in Oslo?' }], []);
  const options = { maxTokens: 200, stop: chat.stopTokens, temperature: 1.5 };
  const free = (seed: number) => sampler.generate(prompt, { ...options, seed });
  const alone = await free(1);
  const [bound, beside, again] = await Promise.all([
    sampler.generate(prompt, { ...options, seed: 2, grammar: JSON.stringify(grammar) }),
    free(1),
    sampler.generate(prompt, { ...options, seed: 2, grammar: JSON.stringify(grammar) }),
  ]);
  expect(beside).toEqual(alone);
  expect(again).toEqual(bound);
  expect(bound.stopReason).toBe('stop');
  const report = JSON.parse(chat.parse(bound.tokens).text);
  expect(Object.keys(report)).toEqual(['city', 'degrees']);
  const tokens = [...prompt, ...bound.tokens];
  const mask = Uint8Array.from(tokens, (_, i) => (i < prompt.length ? 0 : 1));
  const [{ logprobs }] = await sampler.score([{ tokens, mask }]);
  bound.logprobs.forEach((logprob, i) => {
    expect(logprob).toBeCloseTo(logprobs[prompt.length + i], 3);
  });
});

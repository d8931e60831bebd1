import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { asciiCheckpoint, folder } from './checkpoints.ts';

const tokens = ['<eot>', '<who>'];
const generation = "{% if add_generation_prompt %}{{ '<who>assistant ' }}{% endif %}";
const turns = (content: string, end = '<eot>') =>
  `{# knows tools #}{% for m in messages %}{{ '<who>' + m.role + ' ' + ${content} + '${end}' }}{% endfor %}${generation}`;

describe('chat templates', () => {
  it.each([
    ['verbatim', 'm.content', '<who>tool  "a<eot>" \n'],
    ['trimmed', 'm.content | trim', '<who>tool "a<eot>"'],
    ['quoted', '(m.content | tojson if m.role == "tool" else m.content)', '<who>tool " \\"a<eot>\\" \\n"'],
  ])('may write a tool’s answer %s', (_, content, expected) => {
    const chat = loadChat(asciiCheckpoint(tokens, turns(content)));
    const observation = chat.observation(' "a<eot>" \n');
    expect(chat.decode(observation)).toBe(`${expected}<eot><who>assistant `);
    expect(observation.filter(id => chat.stopTokens.includes(id))).toHaveLength(1);
  });

  it('keep a block closed whose markers are no tokens', () => {
    const block = `('<result>' + m.content + '</result>' if m.role == 'tool' else m.content)`;
    const chat = loadChat(asciiCheckpoint(tokens, turns(block)));
    expect(chat.decode(chat.observation('</result>'))).toBe(
      '<who>tool <result>< /result></result><eot><who>assistant ',
    );
  });

  it('come from the configuration where no file is beside it, tool_use first', () => {
    const dir = asciiCheckpoint(tokens, '');
    const chat_template = [
      { name: 'default', template: 'default' },
      { name: 'tool_use', template: turns('m.content') },
    ];
    writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify({ chat_template }));
    expect(() => loadChat(dir)).toThrow('chat_template.jinja');
    const beside = folder({
      'tokenizer.json': tokenizerOf(dir),
      'tokenizer_config.json': JSON.stringify({ chat_template }),
    });
    expect(loadChat(beside).decode(loadChat(beside).prompt([{ role: 'user', content: 'x' }], []))).toBe(
      '<who>user x<eot><who>assistant ',
    );
  });

  it('that refuse a dialogue or end turns with plain text are refused', () => {
    const noTools = `${turns('m.content')}{% if messages[-1].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}`;
    expect(() => loadChat(asciiCheckpoint(tokens, noTools))).toThrow(/refuses the messages .*no tools/);
    expect(() => loadChat(asciiCheckpoint(tokens, turns('m.content', 'END')))).toThrow(/control token/);
    expect(() => loadChat(asciiCheckpoint(tokens, '{% if %}'))).toThrow(/cannot be read/);
  });
});

describe('tokenizers', () => {
  it('keep added words and spaces that are no markup in data', () => {
    const chat = loadChat(asciiCheckpoint(['<eot>', '<who>', 'hello', '  '], turns('m.content'), false));
    expect(chat.encode('hello  x').length).toBe(3);
    expect(chat.encode('<eot>').length).toBe(5);
  });
});

describe('the tokens that end a turn', () => {
  const ended = (files: Record<string, object>) => {
    const dir = asciiCheckpoint(['<eot>', '<who>', '<end>', '<stop>'], turns('m.content'));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), JSON.stringify(content));
    const chat = loadChat(dir);
    return chat.stopTokens.map(id => chat.decode([id]));
  };

  it('are those of the template and of all files that name them', () => {
    expect(ended({})).toEqual(['<eot>']);
    expect(ended({ 'generation_config.json': { eos_token_id: [96, 98] } })).toEqual(['<eot>', '<end>']);
    expect(ended({ 'config.json': { eos_token_id: 99 } })).toEqual(['<eot>', '<stop>']);
    const both = { 'generation_config.json': { eos_token_id: 98 }, 'config.json': { eos_token_id: [99, 96] } };
    expect(ended(both)).toEqual(['<eot>', '<end>', '<stop>']);
  });

  it('are ids, below the size of the vocabulary', () => {
    expect(() => ended({ 'generation_config.json': { eos_token_id: '<end>' } })).toThrow('must be a token id');
    expect(() => ended({ 'config.json': { vocab_size: 99 } })).toThrow(/ids up to 99, and the model .* only 99 tokens/);
  });
});

describe('a tokenizer that contradicts itself is refused:', () => {
  const json = JSON.parse(tokenizerOf(asciiCheckpoint(tokens, turns('m.content'))));
  const added = (token: object) => [...json.added_tokens, { id: 98, content: '<new>', ...token }];
  it.each<[string, object, RegExp]>([
    ['a negative id', { vocab: { ...json.model.vocab, a: -1 } }, /model\.vocab: expected an object of tokens/],
    ['an id as text', { vocab: { ...json.model.vocab, a: '64' } }, /model\.vocab: expected/],
    ['an id that no vocabulary has', { vocab: { ...json.model.vocab, a: 4_294_967_290 } }, /model\.vocab: expected/],
    ['one id for two tokens', { vocab: { ...json.model.vocab, new: 5 } }, /id 5 stands for "\$" and "new"/],
    ['merges of numbers', { merges: [[1, 2]] }, /model\.merges: expected an array of pairs/],
    ['a merge of one', { merges: ['a'] }, /model\.merges: expected/],
    ['a merge to no token', { merges: ['a b'] }, /the merge "a b" needs "ab", which is no token/],
    ['an added id as text', { added_tokens: added({ id: '98' }) }, /added_tokens\.2\.id: expected number/],
    ['a negative added id', { added_tokens: added({ id: -98 }) }, /added_tokens\.2\.id/],
    ['an enormous added id', { added_tokens: added({ id: 4_294_967_290 }) }, /added_tokens\.2\.id: Too big/],
    ['an added id that is taken', { added_tokens: added({ id: 5 }) }, /id 5 stands for "\$" and "<new>"/],
    ['a token with two ids', { added_tokens: added({ content: '<eot>' }) }, /the token "<eot>" has the ids 96 and 98/],
  ])('%s', (_, change, message) => {
    const { vocab, merges, added_tokens = json.added_tokens } = change as typeof json.model & typeof json;
    const model = { ...json.model, ...(vocab && { vocab }), ...(merges && { merges }) };
    const dir = asciiCheckpoint(tokens, turns('m.content'));
    writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify({ ...json, model, added_tokens }));
    expect(() => loadChat(dir)).toThrow(UserError);
    expect(() => loadChat(dir)).toThrow(message);
  });
});

describe('checkpoint folders', () => {
  const good = asciiCheckpoint(tokens, turns('m.content'));
  const tokenizer = tokenizerOf(good);
  it.each([
    [{}, /tokenizer\.json is missing: download/],
    [{ 'tokenizer.json': tokenizer }, /tokenizer_config\.json is missing: download/],
    [{ 'tokenizer.json': '{"model', 'tokenizer_config.json': '{}' }, /tokenizer\.json: not valid JSON/],
    [{ 'tokenizer.json': '{}', 'tokenizer_config.json': '{}' }, /tokenizer\.json: added_tokens/],
    [
      { 'tokenizer.json': tokenizer.replace('"BPE"', '"Unigram"'), 'tokenizer_config.json': '{}' },
      /tokenizer\.json: model\.type: .*BPE/,
    ],
    [{ 'tokenizer.json': tokenizer, 'tokenizer_config.json': '{}' }, /tokenizer_config\.json has no chat_template/],
    [
      {
        'tokenizer.json': tokenizer.replace('ByteLevel', 'Strange'),
        'tokenizer_config.json': '{}',
        'chat_template.jinja': 'x',
      },
      /tokenizer\.json is not a tokenizer that can be read: .*Strange/,
    ],
  ])('say in one line what is missing or damaged: %#', (files, message) => {
    const load = () => loadChat(folder(files as Record<string, string>));
    expect(load).toThrow(UserError);
    expect(load).toThrow(message);
  });
});

function tokenizerOf(dir: string): string {
  return readFileSync(join(dir, 'tokenizer.json'), 'utf8');
}

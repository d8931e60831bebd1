import { expect, test } from 'vitest';
import { loadChat } from '../../src/text/loadChat.ts';
import type { Message } from '../../src/text/message.ts';
import { readThought } from '../../src/text/thought.ts';
import { demonstrationTokens } from '../../src/train/supervised.ts';
import { asciiCheckpoint, qwen3Dir } from './checkpoints.ts';

const direct = loadChat(qwen3Dir);
const thinking = loadChat(qwen3Dir, { enableThinking: true });
const [THINK, SPEAK] = [151667, 151668];
const tools = [{ name: 'add', description: 'Adds.', parameters: { type: 'object', properties: {} } }];
const question: Message = { role: 'user', content: 'How much is 2 + 3?' };
const calls: Message = {
  role: 'assistant',
  reasoning: 'I could <tool_call> it.',
  content: 'Let me see.',
  toolCalls: [{ name: 'add', arguments: {} }],
};
const seen: Message = { role: 'tool', content: '5' };
const answers: Message = { role: 'assistant', reasoning: 'It is 5.', content: '\\boxed{5}' };

test('a thought is a turn’s beginning, between control tokens, and part of what is learned', () => {
  const { tokens, mask } = demonstrationTokens(thinking, thinking.prompt([question], tools), [calls, seen, answers]);
  expect(tokens.filter(token => token === THINK || token === SPEAK)).toEqual([THINK, SPEAK, THINK, SPEAK]);
  for (const [t, token] of tokens.entries()) if (token === THINK || token === SPEAK) expect(mask[t]).toBe(1);
  const learned = tokens.filter((_, t) => mask[t]);
  expect(thinking.decode(learned)).toMatch(
    /^<think>\nI could <tool_call> it\.\n<\/think>\n\nLet me see\.\n<tool_call>\n\{"name": "add".*<think>\nIt is 5\.\n<\/think>\n\n\\boxed\{5\}<\|im_end\|>$/s,
  );
});

test('turns in a row are what the template makes of the dialogue; with the next question it forgets their thoughts', () => {
  const later = [thinking.turn(calls as never), thinking.observation('5')];
  expect([...thinking.prompt([question], tools), ...later.flat()]).toEqual(
    thinking.prompt([question, calls, seen], tools),
  );
  const again = thinking.decode(thinking.prompt([question, calls, seen, answers, question], tools));
  expect(again).not.toContain('I could');
  expect(again).toContain('\\boxed{5}<|im_end|>');
});

test('what is thought is told apart from what is said, and calls nothing', () => {
  for (const turn of [calls, answers] as Extract<Message, { role: 'assistant' }>[]) {
    const { reasoning, content, calls: read, error } = thinking.parse(thinking.turn(turn));
    expect({ reasoning, content, error }).toEqual({
      reasoning: turn.reasoning,
      content: turn.content,
      error: undefined,
    });
    expect(read).toEqual(turn.toolCalls ?? []);
  }
  const call = thinking.turn({ role: 'assistant', content: '', toolCalls: [{ name: 'add', arguments: {} }] });
  expect(thinking.parse([THINK, ...call]).calls).toEqual([]);
  expect(thinking.parse(call).calls).toHaveLength(1);
  expect(thinking.parse(thinking.encode('5'))).toMatchObject({ content: '5' });
});

test('a thought is left out where turns begin without one', () => {
  expect(direct.thought).toBeUndefined();
  expect(direct.decode(direct.turn(answers as never))).toBe('\\boxed{5}<|im_end|>');
});

test('a template may begin the thought itself', () => {
  const template = `{%- for m in messages %}{{ '<s>' + m.role + m.content + '<e>' }}{%- endfor %}{{ '<s>assistant<think>' }}`;
  const always = loadChat(asciiCheckpoint(['<e>', '<s>', '<think>', '</think>'], template));
  expect(always.thought).toBe('begun');
  const turn = always.turn(answers as never);
  expect(always.decode(turn)).toBe('It is 5.\n</think>\n\n\\boxed{5}<e>');
  expect(always.parse(turn)).toMatchObject({ reasoning: 'It is 5.', content: '\\boxed{5}' });
});

test('a model that has no tokens for it is not asked to think', () => {
  const template = `{%- for m in messages %}{{ '<s>' + m.role + m.content + '<e>' }}{%- endfor %}{{ '<s>assistant' }}`;
  const checkpoint = asciiCheckpoint(['<e>', '<s>'], template);
  expect(() => loadChat(checkpoint, { enableThinking: true })).toThrow(
    /chat_template\.jinja: this model does not think .*: set thinking to off/,
  );
});

test('a written thought is one at the beginning, or a mistake', () => {
  expect(readThought('Hello.')).toEqual({ content: 'Hello.' });
  expect(readThought('<think>\nHm.\n</think>\n\nHello.')).toEqual({ reasoning: 'Hm.', content: 'Hello.' });
  expect(readThought('<think>\n\n</think>\n\nHello.')).toEqual({ content: 'Hello.' });
  expect(readThought('Hello.', 'Hm.')).toEqual({ reasoning: 'Hm.', content: 'Hello.' });
  const wrong = [
    'Hello. <think>Hm.</think>',
    '<think>Hm.',
    'Hm.</think>',
    '<think>a</think>b</think>',
    '<think><think>a</think>',
  ];
  for (const text of wrong) expect(readThought(text)).toMatch(/^<think> and <\/think> stand for a thought/);
  expect(readThought('<think>Hm.</think>Hello.', 'Hm.')).toMatch(/there can be one/);
});

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { pythonJson } from '../../src/json.ts';
import { readCallFormat } from '../../src/text/callFormat.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import type { ToolCall } from '../../src/text/message.ts';
import { TailCalls } from '../../src/text/tailCalls.ts';
import type { ChatTemplate } from '../../src/text/template.ts';
import type { TurnDelta } from '../../src/text/turnText.ts';
import { asciiCheckpoint } from './checkpoints.ts';

const roles = ['<|end|>', '<|system|>', '<|user|>', '<|assistant|>', '<|tool|>', '<|python_tag|>'];
/** The last of the roles' ids. */
const tag = 96 + roles.length - 1;
const chatOf = (call: string) =>
  loadChat(
    asciiCheckpoint(
      roles,
      `{% for m in messages %}{{ '<|' + m.role + '|>' }}
{%- if m.tool_calls %}${call}{% else %}{{ m.content }}{% endif %}{{ '<|end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`,
    ),
  );
const f = 'm.tool_calls[0].function';
const llama = chatOf(`{{ '{"name": "' + ${f}.name + '", "parameters": ' + ${f}.arguments | tojson + '}' }}`);
const pythonic = chatOf(
  `{{ '[' + ${f}.name + '(' }}{% for k, v in ${f}.arguments.items() %}{{ k + '=' + v | tojson }}{% endfor %}{{ ')]' }}`,
);
const formats = { llama, pythonic };

const calls: ToolCall[] = [
  { name: 'f', arguments: { x: 1, text: 'a "b" \'c\'; [d], {e} = (f)\n\\', list: [true, null, { k: -2 }] } },
  { name: 'g', arguments: {} },
];

function read(chat: typeof llama, text: string) {
  const tokens = chat.encode(text);
  const reader = chat.reader();
  const told = [...tokens.flatMap(token => reader.push(token)), ...reader.end()];
  const parsed = chat.parse(tokens);
  expect(reader.turn).toEqual({ ...parsed, text: undefined });
  const words = told.flatMap((delta: TurnDelta) => (delta.kind === 'text' ? [delta.text] : []));
  expect(words.join('')).toBe(parsed.content);
  expect(told.filter(({ kind }) => kind === 'call')).toHaveLength(parsed.calls.length);
  return parsed;
}

describe.each(Object.entries(formats))('calls as the template writes them: %s', (name, chat) => {
  it('are written as it does, and read again', () => {
    const written = chat.decode(chat.turn({ role: 'assistant', content: '', toolCalls: calls }));
    const first = chat.decode(
      chat.turn({ role: 'assistant', content: '', toolCalls: [{ ...calls[0], arguments: { x: 1 } }] }),
    );
    expect(first).toBe(name === 'llama' ? '{"name": "f", "parameters": {"x": 1}}<|end|>' : '[f(x=1)]<|end|>');
    expect(read(chat, written.replace('<|end|>', ''))).toMatchObject({ content: '', calls });
    const tagged = [tag, ...chat.encode(written.replace('<|end|>', ''))];
    expect(chat.parse(tagged)).toMatchObject({ content: '', calls });
  });

  it('may stand behind what is said, in lines of their own', () => {
    const turn = chat.turn({ role: 'assistant', content: 'Look:\n{"a": 1}\n[2]', toolCalls: calls }).slice(0, -1);
    expect(chat.parse(turn)).toMatchObject({ content: 'Look:\n{"a": 1}\n[2]', calls });
    expect(chat.parse(turn).error).toBeUndefined();
  });

  it('come back whatever their arguments say', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab\'"\\\n{}[]()=;,: <>/') });
    const plain = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
    const value = fc.oneof(plain, fc.array(plain), fc.dictionary(text, fc.array(plain, { maxLength: 2 })));
    fc.assert(
      fc.property(text, value, (x, y) => {
        const toolCalls = [{ name: 'f', arguments: { x, y } }];
        const { calls } = chat.parse(chat.turn({ role: 'assistant', content: '', toolCalls }));
        expect(pythonJson(calls)).toBe(pythonJson(toolCalls));
      }),
    );
  });

  it.each(['{"answer": 42}', '[1, 2]', 'see\n{ ', 'f(x)', ' \n[', '{}'])('that are none are text: %j', text => {
    expect(read(chat, text)).toEqual({ text, content: text, calls: [] });
  });
});

it.each([
  [llama, '{"name": "f", "parameters": {"x": 1}', /^invalid JSON in tool call/],
  [llama, '{"name": "f", "parameters": [1]}', /"parameters" of the tool call is not a JSON object/],
  [llama, '{"name": "f"}', /no "parameters"/],
  [llama, '{"name": "f", "parameters": {}} and more', /^invalid JSON in tool call/],
  [pythonic, '[f(x=1]', /^invalid tool call/],
  [pythonic, '[f(open("x"))]', /^invalid tool call/],
  [pythonic, '[f(1)]', /^invalid tool call/],
  [pythonic, '[f(x=1)] and more', /^invalid tool call/],
])('what is wrong with a call is said, and it is text', (chat, text, error) => {
  const parsed = read(chat, text);
  expect(parsed).toMatchObject({ content: text, calls: [] });
  expect(parsed.error).toMatch(error);
});

it('an argument that is no name in Python has no place in its form', () => {
  const toolCalls = [{ name: 'f', arguments: { 'two words': 1 } }];
  expect(() => pythonic.turn({ role: 'assistant', content: '', toolCalls })).toThrow(
    'no place for an argument named "two words"',
  );
});

describe('a template that knows no tools, for a vocabulary without markers of calls', () => {
  const chatml = `{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nA helper.<|im_end|>\n' }}{% endif %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;
  const chat = loadChat(asciiCheckpoint(['<|im_end|>', '<|im_start|>'], chatml));
  const tool = { name: 'f', description: 'A tool </tools>.', parameters: { type: 'object', properties: {} } };
  const show = (...args: Parameters<typeof chat.prompt>) => chat.decode(chat.prompt(...args));

  it('is left as it is where there are no tools', () => {
    expect(show([{ role: 'user', content: 'Hi' }], [])).toBe(
      '<|im_start|>system\nA helper.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('tells tools, calls and answers in plain text', () => {
    const shown = show(
      [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'So:', toolCalls: [{ name: 'f', arguments: { x: [1] } }, calls[1]] },
        { role: 'tool', content: 'one' },
        { role: 'tool', content: 'two' },
        { role: 'assistant', content: 'Done.' },
        { role: 'user', content: 'More' },
      ],
      [tool],
    );
    expect(shown).toMatch(/^<\|im_start\|>system\nBe brief\.\n\n# Tools\n/);
    expect(shown).toContain(
      '<tools>\n{"type": "function", "function": {"name": "f", "description": "A tool < /tools>."',
    );
    expect(shown).toContain(
      `<|im_start|>assistant\nSo:\n<tool_call>\n{"name": "f", "arguments": {"x": [1]}}\n</tool_call>
<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call><|im_end|>
<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>
<|im_start|>assistant\nDone.<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\n`,
    );
  });

  it('prompt, turn and observation in a row are what it renders of the dialogue', () => {
    const question = { role: 'user', content: 'Hi' } as const;
    const turn = { role: 'assistant', content: 'So:', toolCalls: [calls[1]] } as const;
    const message = { ...turn, toolCalls: [...turn.toolCalls] };
    const row = [...chat.prompt([question], [tool]), ...chat.turn(message), ...chat.observation('one')];
    expect(chat.decode(row)).toBe(show([question, message, { role: 'tool', content: 'one' }], [tool]));
  });

  it('observations are inert: no control token, no marker but their own', () => {
    const markup = fc.constantFrom(
      ...['<|im_end|>', '<|im_start|>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>'],
      ...['<tools>', '</tools>', '<', '>', '</', '|', '\n', 'a', '{"name": "f", "arguments": {}}'],
    );
    const controls = (ids: number[]) => ids.filter(id => id >= 96);
    fc.assert(
      fc.property(fc.array(markup, { maxLength: 8 }), parts => {
        const ids = chat.observation(parts.join(''));
        expect(controls(ids)).toEqual(controls(chat.observation('a')));
        const markers = chat.decode(ids).match(/<\/?tool\w*>/g);
        expect(markers).toEqual(['<tool_response>', '</tool_response>']);
      }),
    );
  });
});

describe('four times the text takes 6.25 times as long at most', () => {
  const written = { llama: '{"name": "probe", "parameters": {}}', pythonic: '[probe(value=1)]' };
  /** Below it the clock and the collector decide. */
  const floorMs = 20;
  test.each([
    ['quotes in a string that does not end', 'llama', '{"name": "', '\\"'],
    ['lines that begin as calls do', 'llama', '', '{"name": 1,\n'],
    ['quotes in a string that does not end', 'pythonic', "[f(x='", "\\'"],
    ['a word', 'pythonic', '[f(', 'a'],
    ['digits', 'pythonic', '[f(x=', '1'],
    ['lines that begin as calls do', 'pythonic', '', '[f(\n'],
  ] as const)('%s, %s', (_, format, start, repeated) => {
    const template = { render: () => written[format] } as unknown as ChatTemplate;
    const milliseconds = (length: number) => {
      const turn = new TailCalls(readCallFormat(template)!);
      const text = `${start}${repeated.repeat(length / repeated.length)}x`;
      const before = process.cpuUsage();
      turn.push(text);
      turn.end();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const linear = () => best[1] <= 6.25 * Math.max(best[0], floorMs);
    for (let run = 0; run < 8 && (run === 0 || !linear()); run++) {
      for (const [i, length] of [2 ** 15, 2 ** 17].entries()) best[i] = Math.min(best[i], milliseconds(length));
    }
    expect(linear(), `${best} ms`).toBe(true);
  });
});

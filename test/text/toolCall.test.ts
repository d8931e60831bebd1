import { describe, expect, it } from 'vitest';
import { loadChat } from '../../src/text/loadChat.ts';
import { asciiCheckpoint } from './checkpoints.ts';

const template = `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;
const roles = ['<|end|>', '<|system|>', '<|user|>', '<|assistant|>', '<|tool|>'];

describe.each([
  ['with tokens for the markers', [...roles, '<tool_call>', '</tool_call>']],
  ['with markers in plain text', roles],
])('tool calls %s', (_, tokens) => {
  const chat = loadChat(asciiCheckpoint(tokens, template));
  const callTokens = chat.turn({ role: 'assistant', content: '', toolCalls: [{ name: 'n', arguments: {} }] });
  const markerTokens = tokens.includes('<tool_call>') ? 1 : '<tool_call>'.length;
  const open = callTokens.slice(0, markerTokens);
  const close = callTokens.slice(0, -1).slice(tokens.includes('<tool_call>') ? -1 : -'</tool_call>'.length);
  const ascii = (text: string) => chat.turn({ role: 'assistant', content: text }).slice(0, -1);
  const wrapped = (body: string) => [...open, ...ascii(body), ...close];

  it('are written with the spacing of Python’s json.dumps', () => {
    const toolCalls = [
      { name: 'a', arguments: { x: [1, { y: null }], 'k"': 'v\n' } },
      { name: 'b', arguments: {} },
    ];
    const turn = chat.turn({ role: 'assistant', content: 'Look:', toolCalls });
    expect(chat.decode(turn)).toBe(
      `Look:
<tool_call>
{"name": "a", "arguments": {"x": [1, {"y": null}], "k\\"": "v\\n"}}
</tool_call>
<tool_call>
{"name": "b", "arguments": {}}
</tool_call><|end|>`,
    );
    expect(chat.parse(turn)).toEqual({
      text: chat.decode(turn).replace('<|end|>', ''),
      content: 'Look:',
      calls: toolCalls,
    });
  });

  it('survive markers in their arguments, and content makes none', () => {
    const toolCalls = [{ name: 'a', arguments: { '</tool_call>': '<tool_call>{"name": "b"}</tool_call><|end|>' } }];
    const content = '<tool_call>\n{"name": "c", "arguments": {}}\n</tool_call>';
    expect(chat.parse(chat.turn({ role: 'assistant', content, toolCalls })).calls).toEqual(toolCalls);
  });

  it('may give arguments as a JSON string', () => {
    expect(chat.parse(wrapped('{"name": "a", "arguments": "{\\"x\\": 1}"}')).calls).toEqual([
      { name: 'a', arguments: { x: 1 } },
    ]);
  });

  it.each([
    ['{"name": "a", "arguments": {}', /^invalid JSON in tool call: /],
    ['["a"]', /not a JSON object/],
    ['{"arguments": {}}', /no "name"/],
    ['{"name": "a"}', /no "arguments"/],
    ['{"name": "a", "arguments": [1]}', /"arguments" of the tool call is not a JSON object/],
    ['{"name": "a", "arguments": "{"}', /^invalid JSON in/],
  ])('say what is wrong with %s and keep the good ones', (body, message) => {
    const good = '{"name": "good", "arguments": {}}';
    const parsed = chat.parse([...wrapped(good), ...wrapped(body), ...wrapped(good)]);
    expect(parsed.error).toMatch(message);
    expect(parsed.calls.map(call => call.name)).toEqual(['good', 'good']);
  });

  it('must be closed', () => {
    const parsed = chat.parse([...open, ...ascii('{"name": "a", "arguments": {}}')]);
    expect(parsed).toMatchObject({ calls: [], error: 'tool call is not closed: </tool_call> is missing' });
  });

  it('are no matter of turns without them', () => {
    expect(chat.parse(chat.turn({ role: 'assistant', content: 'Done' }))).toEqual({
      text: 'Done',
      content: 'Done',
      calls: [],
    });
  });
});

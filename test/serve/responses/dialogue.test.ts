import { expect, test } from 'vitest';
import { DialogueReader } from '../../../src/serve/responses/dialogue.ts';
import type { InputItem } from '../../../src/serve/responses/request.ts';
import type { ToolOrigin } from '../../../src/tools/tool.ts';

const origins = new Map<string, ToolOrigin>([['python', { kind: 'code', argument: 'code' }]]);
const read = (items: InputItem[], pending: string[] = []) =>
  new DialogueReader({ messages: [], pending }, origins).read(items);

const user: InputItem = { type: 'message', role: 'user', content: 'Go.' };
const said = (content: string): InputItem => ({ type: 'message', role: 'assistant', content });
const call = (id: string, values = '{"x": 1.0}'): InputItem => ({
  type: 'function_call',
  call_id: id,
  name: 'f',
  arguments: values,
});
const output = (id: string, text: string): InputItem => ({ type: 'function_call_output', call_id: id, output: text });

test('what belongs to one turn becomes one message; outputs stand in the order of their calls', () => {
  const thought: InputItem = { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] };
  const messages = read([user, thought, said('Well.'), call('a'), call('b'), output('b', '2'), output('a', '1')]);
  expect(messages).toMatchObject([
    { role: 'user', content: 'Go.' },
    { role: 'assistant', reasoning: 'Hm.', content: 'Well.', toolCalls: [{ name: 'f' }, { name: 'f' }] },
    { role: 'tool', content: '1' },
    { role: 'tool', content: '2' },
  ]);
});

test('each call that was run here is a turn with its answer, unless the client has one of the same turn', () => {
  const run: InputItem = { type: 'mcp_call', name: 'g', arguments: '{}', output: 'good' };
  const code: InputItem = { type: 'code_interpreter_call', code: '1+1', outputs: [{ type: 'logs', logs: '2\n' }] };
  expect(read([user, said('See.'), run, code, said('2')])).toMatchObject([
    { role: 'user' },
    { role: 'assistant', content: 'See.', toolCalls: [{ name: 'g', arguments: {} }] },
    { role: 'tool', content: 'good' },
    { role: 'assistant', toolCalls: [{ name: 'python', arguments: { code: '1+1' } }] },
    { role: 'tool', content: '2\n' },
    { role: 'assistant', content: '2' },
  ]);
  const failed: InputItem = { ...run, output: null, error: 'Error: no' };
  expect(read([user, call('a'), failed, output('a', '1')])).toMatchObject([
    { role: 'user' },
    { role: 'assistant', toolCalls: [{ name: 'g' }, { name: 'f' }] },
    { role: 'tool', content: 'Error: no' },
    { role: 'tool', content: '1' },
  ]);
});

test('arguments that are no JSON stand in the text, as the model wrote them', () => {
  const [, turn] = read([user, call('a', '{"x": '), output('a', 'Error')]);
  expect(turn).toEqual({ role: 'assistant', content: '{"name": "f", "arguments": {"x": }' });
});

test('a thought begins a turn: calls before it are answered first', () => {
  const thought: InputItem = { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] };
  expect(() => read([user, call('a'), thought, said('Well.')])).toThrow(/input\.2: the call "a" has no/);
});

test('calls of an earlier response are answered first', () => {
  expect(read([output('a', '1'), user], ['a'])).toMatchObject([{ role: 'tool', content: '1' }, { role: 'user' }]);
  expect(() => read([user], ['a'])).toThrow(/input\.0: the call "a" has no function_call_output/);
  expect(() => read([output('b', '1')], ['a'])).toThrow(/input\.0: there is no function_call with the call_id "b"/);
});

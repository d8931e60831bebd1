import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseJson, pythonJson } from '../../src/json.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import type { ToolCall } from '../../src/text/message.ts';
import { callTool } from '../../src/tools/call.ts';
import { defineTool } from '../../src/tools/tool.ts';
import { asciiCheckpoint, qwen3Dir } from './checkpoints.ts';

const json = '{"x": [1.0, 1e-07, 12345678901234567890, -0.0, 2, 0.5], "y": {"z": 1e+22}}';
const call: ToolCall = { name: 'f', arguments: parseJson(json) as ToolCall['arguments'] };

/** A chat whose template writes the arguments of the first call in some way. */
function rendered(expression: string, args: unknown = call.arguments): string {
  const template = `{% for m in messages %}{{ '<who>' + m.role + m.content + '<eot>' }}{% if m.tool_calls %}{% set a = m.tool_calls[0].function.arguments %}${expression}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<who>assistant' }}{% endif %}`;
  const chat = loadChat(asciiCheckpoint(['<eot>', '<who>'], template));
  const toolCalls = [{ name: 'f', arguments: args as ToolCall['arguments'] }];
  const text = chat.decode(
    chat.prompt(
      [
        { role: 'user', content: '' },
        { role: 'assistant', content: '', toolCalls },
      ],
      [],
    ),
  );
  return text.slice(text.indexOf('assistant<eot>') + 'assistant<eot>'.length, text.lastIndexOf('<who>'));
}

// The right sides are what Jinja and json.dumps of Python make of these templates.
test.each([
  ['{{ a | tojson }}', json],
  ['{{ a | tojson | tojson }}', JSON.stringify(json)],
  ['{{ a.y | tojson(indent=2) }}', '{\n  "z": 1e+22\n}'],
  ['{{ a.x[0] }} {{ a.x[2] }}, "{{ a.x[1] }}"', '1.0 12345678901234567890, "1e-07"'],
  ["{{ 'text' if a.x[0] is string else 'number' if a.x[0] is number else 'other' }}", 'number'],
  ["{{ '=' ~ a.x[0] ~ a.x[1] }}", '=1.01e-07'],
])('a template writes numbers as Python does: %s', (expression, expected) => {
  expect(rendered(expression)).toBe(expected);
});

test('data that spells a number that stands for another in the template stays as it is', () => {
  const args = { text: '1.1125369292536007e-308', n: parseJson('1.0'), small: 1.2e-308 };
  expect(rendered('{{ a | tojson }}', args)).toBe('{"text": "1.1125369292536007e-308", "n": 1.0, "small": 1.2e-308}');
});

test('from the turn into the history and back', () => {
  const chat = loadChat(qwen3Dir);
  const turn = chat.turn({ role: 'assistant', content: '', toolCalls: [call] });
  expect(chat.decode(turn)).toContain(`{"name": "f", "arguments": ${json}}`);
  const { calls } = chat.parse(turn);
  expect(pythonJson(calls[0].arguments)).toBe(json);
  const history = chat.prompt(
    [
      { role: 'user', content: 'x' },
      { role: 'assistant', content: '', toolCalls: calls },
    ],
    [],
  );
  expect(chat.decode(history)).toContain(`{"name": "f", "arguments": ${json}}`);
});

test('a tool calculates with them', async () => {
  const parameters = z.object({ x: z.array(z.number()), y: z.object({ z: z.number() }) });
  const f = defineTool({ name: 'f', description: '', parameters, execute: ({ x, y }) => String(x[0] + x[1] + y.z) });
  expect(await callTool([f], call)).toEqual({ observation: String(1 + 1e-7 + 1e22) });
  const whole = defineTool({
    name: 'f',
    description: '',
    parameters: z.object({ x: z.int() }),
    execute: ({ x }) => String(x),
  });
  const args = (text: string) => ({ name: 'f', arguments: parseJson(text) as ToolCall['arguments'] });
  expect(await callTool([whole], args('{"x": 3.0}'))).toEqual({ observation: '3' });
  expect(await callTool([whole], args('{"x": 12345678901234567890}'))).toMatchObject({ error: 'invalid_arguments' });
});

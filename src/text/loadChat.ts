import { type CheckpointFiles, readCheckpointFiles } from '../checkpoint/textFiles.ts';
import { UserError } from '../errors.ts';
import { readCallFormat } from './callFormat.ts';
import type { Chat } from './chat.ts';
import { ChatTemplate } from './template.ts';
import { SPEAK, THINK, thoughtStart } from './thought.ts';
import { SealedTokenizer } from './tokenizer.ts';
import { formatToolCall } from './toolCall.ts';
import { readTurnBoundary } from './turnBoundary.ts';
import { TurnReader } from './turnReader.ts';
import { CLOSE, OPEN } from './turnText.ts';
import { type Vocabulary, vocabularyOf } from './vocabulary.ts';

export interface ChatOptions {
  /** Whether the model may think before it speaks: the template's `enable_thinking`. Default: it may not. */
  enableThinking?: boolean;
}

/**
 * The chat of a Hugging Face checkpoint folder, from its BPE tokenizer and chat template, with tool calls in the
 * format that the template writes. All content, arguments and tool descriptions are data: none of it becomes a control token.
 *
 * Prompt, turn and observation in a row are what the template renders of the whole dialogue, as long as it leaves
 * earlier turns as they were sampled; where it rewrites them (drops their reasoning, say) the sampled ids stand.
 *
 * Throws a UserError that names the file that is missing, damaged or not supported, or a model that cannot think if it is to.
 */
export function loadChat(dir: string, options: ChatOptions = {}): Chat {
  return loadChats(dir)(options);
}

/** The chats of one checkpoint, thinking or not, with one tokenizer. @throws as `loadChat` */
export function loadChats(dir: string): (options?: ChatOptions) => Chat {
  const files = readCheckpointFiles(dir);
  const vocabulary = vocabularyOf(files.tokenizer);
  const tokenizer = new SealedTokenizer(files.tokenizer, files.config, files.tokenizerPath);
  const chats = new Map<boolean, Chat>();
  return ({ enableThinking = false } = {}) => {
    const chat = chats.get(enableThinking) ?? makeChat(files, vocabulary, tokenizer, enableThinking);
    chats.set(enableThinking, chat);
    return chat;
  };
}

function makeChat(
  files: CheckpointFiles,
  vocabulary: Vocabulary,
  tokenizer: SealedTokenizer,
  enableThinking: boolean,
): Chat {
  const template = new ChatTemplate(files, tokenizer, enableThinking);
  const format = readCallFormat(template);
  const { endOfTurn, observation } = readTurnBoundary(template, tokenizer);

  const named = [endOfTurn, files.config.eos_token ?? endOfTurn].map(token => tokenizer.id(token));
  const stopTokens = [...new Set([...named, ...files.endTokenIds])].filter(id => id !== undefined);
  const [open, close] = [OPEN, CLOSE].map(marker => tokenizer.seal(marker));

  const question = tokenizer.encode(template.render([{ role: 'user', content: 'Question' }], []));
  const start = thoughtStart(question, stopTokens, vocabulary);
  if (enableThinking && !start) {
    throw new UserError(
      `${template.path}: this model does not think (its turns begin with no ${THINK}): set thinking to off`,
    );
  }
  const thought = enableThinking || start === 'begun' ? start : undefined;
  const [beginThought, endThought] = [thought === 'begun' ? '' : `${tokenizer.seal(THINK)}\n`, tokenizer.seal(SPEAK)];

  const decode = (tokens: readonly number[]) => tokenizer.unseal(tokenizer.decode(tokens));
  const reader: Chat['reader'] = options => new TurnReader({ thought, ...options, vocabulary, stopTokens, format });

  return {
    stopTokens,
    thought,
    callFormat: format,
    prompt: (messages, tools) => tokenizer.encode(template.render(messages, tools)),
    turn: ({ content, reasoning, toolCalls = [] }) => {
      const calls =
        format && toolCalls.length > 0
          ? [template.shield.defuseJson(format.write(toolCalls))]
          : toolCalls.map(call => `${open}\n${template.shield.defuseJson(formatToolCall(call))}\n${close}`);
      const text = template.shield.defuse(content);
      const said = [...(text ? [text] : []), ...calls].join('\n') + tokenizer.seal(endOfTurn);
      if (!thought || !reasoning) return tokenizer.encode(said);
      return tokenizer.encode(`${beginThought}${template.shield.defuse(reasoning)}\n${endThought}\n\n${said}`);
    },
    // The sampled turn already holds the end-of-turn token.
    observation: (...contents) => tokenizer.encode(observation(...contents)).slice(1),
    decode,
    reader,
    parse: tokens => {
      const ended = stopTokens.includes(tokens[tokens.length - 1]);
      const turn = reader();
      turn.pushAll(tokens);
      turn.end();
      return { text: decode(ended ? tokens.slice(0, -1) : tokens), ...turn.turn };
    },
    encode: text => tokenizer.encode(template.shield.defuse(text)),
  };
}

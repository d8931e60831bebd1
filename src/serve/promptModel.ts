import type { TokenIds } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { TailFormat } from '../text/callFormat.ts';
import type { Chat } from '../text/chat.ts';
import { loadChats } from '../text/loadChat.ts';
import type { Message, ToolSchema } from '../text/message.ts';
import { shownSchema } from '../text/shownSchema.ts';
import type { ThoughtStart } from '../text/thought.ts';
import { readVocabulary, type Vocabulary } from '../text/vocabulary.ts';
import { ApiError, badRequest } from './apiError.ts';
import type { AgentOutline } from './responses/agent.ts';

export interface PromptModelOptions {
  checkpoint: string;
  /** What clients call the model, and adapters over it, which read prompts as it does. */
  names: readonly string[];
  contextTokens: number;
  /** Token ids that the model has logits for. */
  vocabularySize: number;
  /** What answers by the Responses API with tools that run here. */
  agent?: AgentOutline;
}

/** What a request calls the parts of a dialogue, for errors. */
export interface FieldNames {
  messages: string;
  thinking: string;
}

const ofChat: FieldNames = { messages: 'messages', thinking: 'chat_template_kwargs.enable_thinking' };

/** A dialogue as the model is to go on with it. */
interface Dialogue {
  prompt: number[];
  thought?: ThoughtStart;
  callFormat?: TailFormat;
}

/** What the model that is served makes of prompts. */
export class PromptModel {
  readonly names: readonly string[];
  readonly vocabulary: Vocabulary;
  readonly agent: AgentOutline | undefined;
  readonly #options: PromptModelOptions;
  readonly #chats: ReturnType<typeof loadChats>;

  constructor(options: PromptModelOptions) {
    this.#options = options;
    this.names = options.names;
    this.agent = options.agent;
    this.vocabulary = readVocabulary(options.checkpoint);
    this.#chats = loadChats(options.checkpoint);
    this.#chat(false);
  }

  /**
   * @param thinking whether the model may reason before it speaks, where its template leaves the choice
   * @throws ApiError 400 where the template refuses the messages, or they leave no room for an answer
   */
  dialogue(messages: Message[], tools: ToolSchema[], thinking: boolean, names = ofChat): Dialogue {
    const shown = tools.map(tool => ({ ...tool, parameters: shownSchema(tool.parameters) }));
    const text = [...messages.map(textOf), JSON.stringify(shown)].join('\n');
    const resulted = (tokens: string) => `your messages resulted in ${tokens} tokens. Please reduce their length`;
    this.#refuseLongText(text, names.messages, resulted);
    const chat = this.#thinkingChat(thinking, names.thinking);
    try {
      const prompt = chat.prompt(messages, tools);
      this.#refuseLongPrompt(prompt, 1, names.messages, resulted);
      return { prompt, thought: chat.thought, callFormat: chat.callFormat };
    } catch (error) {
      if (error instanceof UserError) throw badRequest(error.message, names.messages);
      throw error;
    }
  }

  /**
   * @param answerTokens fewest that the answer may have
   * @throws ApiError 400 where there is no such token, or too little room
   */
  prompt(given: string | number[], answerTokens: number): number[] {
    const resulted = (tokens: string) => `your prompt has ${tokens} tokens. Please reduce its length`;
    if (typeof given === 'string') this.#refuseLongText(given, 'prompt', resulted);
    const tokens = typeof given === 'string' ? this.#chat(false).encode(given) : given;
    if (tokens.length === 0) throw badRequest('prompt: is empty', 'prompt');
    this.#refuseLongPrompt(tokens, answerTokens, 'prompt', resulted);
    const { vocabularySize } = this.#options;
    const outside = tokens.find(token => token >= vocabularySize);
    if (outside !== undefined) {
      throw badRequest(`prompt: there is no token ${outside}; the last is ${vocabularySize - 1}`, 'prompt');
    }
    return tokens;
  }

  /** Tokens as text, control tokens shown. */
  text(tokens: TokenIds): string {
    return this.#chat(false).decode(tokens);
  }

  /** @throws ApiError 400 where the model is to think, and cannot */
  #thinkingChat(thinking: boolean, param: string): Chat {
    try {
      return this.#chat(thinking);
    } catch (error) {
      if (error instanceof UserError) throw badRequest(error.message, param);
      throw error;
    }
  }

  #chat(enableThinking: boolean): Chat {
    return this.#chats({ enableThinking });
  }

  /** What is far too long is refused before all its tokens are found: where a text is cut, it has a few more at most. */
  #refuseLongText(text: string, param: string, told: (tokens: string) => string): void {
    const { contextTokens } = this.#options;
    const fewest = Math.ceil(text.length / this.vocabulary.longest);
    if (fewest > contextTokens) throw this.#overflow(told(`more than ${fewest}`), param);
    let tokens = 0;
    for (let at = 0; at + pieceLength < text.length; at += pieceLength) {
      tokens += this.#chat(false).encode(text.slice(at, at + pieceLength)).length - tokensOfCut;
      if (tokens > contextTokens) throw this.#overflow(told(`more than ${tokens}`), param);
    }
  }

  #refuseLongPrompt(prompt: TokenIds, answerTokens: number, param: string, told: (tokens: string) => string): void {
    if (prompt.length + answerTokens > this.#options.contextTokens) {
      throw this.#overflow(told(String(prompt.length)), param);
    }
  }

  /** In the words by which clients know it, to try again with less. */
  #overflow(told: string, param: string): ApiError {
    const { contextTokens } = this.#options;
    const message = `This model's maximum context length is ${contextTokens} tokens. However, ${told}.`;
    return new ApiError(400, message, { code: 'context_length_exceeded', param });
  }
}

/** In characters. */
const pieceLength = 4096;
const tokensOfCut = 16;

function textOf(message: Message): string {
  return message.role === 'assistant' ? (message.reasoning ?? '') + message.content : message.content;
}

import { type AnswerEvent, answer } from '../agent/answer.ts';
import type { Sampler, SamplingOptions } from '../engine/types.ts';
import { Random } from '../random.ts';
import type { Chat } from '../text/chat.ts';
import type { Message } from '../text/message.ts';
import { toolSchema } from '../tools/schema.ts';
import { closeTools, type Tool } from '../tools/tool.ts';

/** What happens while the agent answers. */
export type ChatEvent = AnswerEvent | { kind: 'limit'; what: string } | { kind: 'over' };

export interface ChatSessionOptions {
  sampler: Sampler;
  chat: Chat;
  /** Of the first dialogue. */
  tools: Tool[];
  /** The dialogue before the person's first message, such as a system message. */
  messages?: Message[];
  sampling: Pick<SamplingOptions, 'temperature' | 'topP'>;
  /** Most tokens, sampled and observed, of one answer with all its tool calls. */
  maxTokens: number;
  /** Most turns of one answer: calls and what is said behind the last of them. */
  maxTurns: number;
  seed: number;
}

/** A dialogue between a person and an agent that has tools; what was said is kept, and so is what was done. */
export class ChatSession {
  readonly #options: ChatSessionOptions;
  #messages: Message[];
  #tools: Tool[];
  #exchanges = 0;

  constructor(options: ChatSessionOptions) {
    this.#options = options;
    this.#messages = [...(options.messages ?? [])];
    this.#tools = options.tools;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Begins another dialogue, with tools of its own: everything said so far is forgotten. */
  async reset(tools: Tool[]): Promise<void> {
    await this.close();
    this.#tools = tools;
    this.#messages = [...(this.#options.messages ?? [])];
  }

  /**
   * The agent's answer to a message, with all the calls it takes. An exchange that is stopped leaves no trace in the dialogue.
   * @throws UserError where the dialogue has become too long for the model; the reason of `signal`.
   */
  async answer(content: string, signal: AbortSignal, tell: (event: ChatEvent) => void): Promise<void> {
    const { chat, sampler, sampling, seed, maxTokens, maxTurns } = this.#options;
    const tools = this.#tools;
    const question: Message = { role: 'user', content };
    const exchange = this.#exchanges++;
    const { end, messages } = await answer({
      sampler,
      chat,
      prompt: chat.prompt([...this.#messages, question], tools.map(toolSchema)),
      tools,
      sampling: turn => ({ ...sampling, seed: Random.of(seed, 'exchange', exchange, turn).uint32() }),
      maxTurns,
      maxTokens,
      signal,
      tell,
    });
    if (end === 'turns') tell({ kind: 'limit', what: `${maxTurns} turns` });
    if (end === 'tokens') tell({ kind: 'limit', what: `${maxTokens} tokens` });
    if (end === 'over') tell({ kind: 'over' });
    this.#messages.push(question, ...messages);
  }

  async close(): Promise<void> {
    await closeTools(this.#tools);
  }
}

import type { Sampler, SamplingOptions } from '../engine/types.ts';
import { Random } from '../random.ts';
import type { Chat } from '../text/chat.ts';
import type { Message } from '../text/message.ts';
import type { TurnContent, TurnDelta } from '../text/turnText.ts';
import { type CallResult, callTool } from '../tools/call.ts';
import { toolSchema } from '../tools/schema.ts';
import type { Tool } from '../tools/tool.ts';

/** What happens while the agent answers. */
export type ChatEvent =
  | TurnDelta
  | ({ kind: 'observation'; name: string } & CallResult)
  | { kind: 'limit'; what: string };

export interface ChatSessionOptions {
  sampler: Sampler;
  chat: Chat;
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
  #exchanges = 0;

  constructor(options: ChatSessionOptions) {
    this.#options = options;
    this.#messages = [...(options.messages ?? [])];
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Everything said so far is forgotten. */
  reset(): void {
    this.#messages = [...(this.#options.messages ?? [])];
  }

  /**
   * The agent's answer to a message, with all the calls it takes. An exchange that is stopped leaves no trace in the dialogue.
   * @throws UserError where the dialogue has become too long for the model; the reason of `signal`.
   */
  async answer(content: string, signal: AbortSignal, tell: (event: ChatEvent) => void): Promise<void> {
    const { chat, sampler, tools, sampling, maxTokens, maxTurns } = this.#options;
    const said: Message[] = [{ role: 'user', content }];
    const exchange = this.#exchanges++;
    const prompt = chat.prompt([...this.#messages, ...said], tools.map(toolSchema));
    const conversation = await sampler.open(prompt);
    try {
      let left = maxTokens;
      for (let turn = 0; ; turn++) {
        const reader = chat.reader({ calls: tools.length > 0 });
        const seed = Random.of(this.#options.seed, 'exchange', exchange, turn).uint32();
        const completion = await conversation.generate(
          { ...sampling, maxTokens: left, stop: chat.stopTokens, seed },
          signal,
          ({ token }) => reader.push(token).forEach(tell),
        );
        reader.end().forEach(tell);
        left -= completion.tokens.length;
        const { reasoning, content, calls, error } = reader.turn;
        said.push({
          role: 'assistant',
          ...(reasoning && { reasoning }),
          content,
          ...(calls.length > 0 && { toolCalls: calls }),
        });
        if (completion.stopReason === 'length') tell({ kind: 'limit', what: `${maxTokens} tokens` });
        if (completion.stopReason === 'length' || (calls.length === 0 && !error)) break;
        if (turn + 1 === maxTurns) {
          tell({ kind: 'limit', what: `${maxTurns} turns` });
          break;
        }
        const observation = await this.#observe(reader.turn, signal, tell);
        said.push({ role: 'tool', content: observation });
        const tokens = chat.observation(observation);
        conversation.append(tokens);
        left -= tokens.length;
        if (left < 1) {
          tell({ kind: 'limit', what: `${maxTokens} tokens` });
          break;
        }
      }
      this.#messages.push(...said);
    } finally {
      conversation.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#options.tools.map(tool => tool.close?.()));
  }

  /** Runs the turn's calls one after the other; their answers are one observation, as a model has learned it. */
  async #observe(
    { calls, error }: TurnContent,
    signal: AbortSignal,
    tell: (event: ChatEvent) => void,
  ): Promise<string> {
    const observations: string[] = [];
    const observe = (name: string, result: CallResult) => {
      tell({ kind: 'observation', name, ...result });
      observations.push(result.observation);
    };
    for (const call of calls) observe(call.name, await callTool(this.#options.tools, call, {}, signal));
    if (error) observe('call', { observation: `Error: ${error}`, error: 'invalid_json' });
    return observations.join('\n');
  }
}

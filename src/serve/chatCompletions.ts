import { randomUUID } from 'node:crypto';
import type { SampledToken, SamplingOptions } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { TurnDelta } from '../text/turnText.ts';
import type { Answering } from './answering.ts';
import { badRequest } from './apiError.ts';
import { dialogueOf, toolSchemas } from './dialogue.ts';
import { type Ended, refuseLongPrompt, refuseLongText, sampleSequence, samplingOptions, seedOf } from './generation.ts';
import { callGrammar, formatGrammar } from './outputGrammar.ts';
import { type ChatRequest, parseChatRequest } from './requests.ts';
import type { ServedModel } from './servedModel.ts';

type FinishReason = Ended['reason'] | 'tool_calls';

/** `POST /v1/chat/completions`. Throws ApiError where the request cannot be answered. */
export function answerChat(model: ServedModel, body: unknown): Answering {
  const request = parseChatRequest(body);
  const turns = new Turns(model, request);
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.name };
  const chunk = (choices: object[], more = {}) => ({ ...head, object: 'chat.completion.chunk', choices, ...more });
  return {
    model: request.model,
    sequences: turns.count,
    promptTokens: turns.prompt.length,
    streamed: request.stream ?? false,
    async whole(signal, onToken) {
      const choices = Array.from({ length: turns.count }, () => new WholeTurn());
      const ended = await turns.sample(signal, onToken, (choice, deltas, entry) => choices[choice].take(deltas, entry));
      return {
        ...head,
        object: 'chat.completion',
        choices: choices.map((choice, index) => choice.result(index, ended[index].finishReason)),
        usage: usage(turns.prompt.length, ended),
      };
    },
    async stream(signal, onToken, send) {
      const logprobsOf = (entries: object[]) => (request.logprobs ? { logprobs: { content: entries } } : {});
      for (let index = 0; index < turns.count; index++) {
        send(chunk([{ index, delta: { role: 'assistant', content: '' }, finish_reason: null }]));
      }
      const ended = await turns.sample(
        signal,
        onToken,
        (index, deltas, entry) => {
          const parts = deltas.length === 0 && entry ? [{}] : deltas.map(chatDelta);
          parts.forEach((delta, i) => {
            send(chunk([{ index, delta, ...logprobsOf(entry && i === 0 ? [entry] : []), finish_reason: null }]));
          });
        },
        (index, finish_reason) => send(chunk([{ index, delta: {}, finish_reason }])),
      );
      if (request.stream_options?.include_usage) send(chunk([], { usage: usage(turns.prompt.length, ended) }));
    },
  };
}

export function usage(promptTokens: number, ended: readonly Ended[]) {
  const completionTokens = ended.reduce((sum, { tokens }) => sum + tokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

type TellDeltas = (choice: number, deltas: TurnDelta[], logprob: object | undefined) => void;

/** The assistant turns that a request asks for. */
class Turns {
  readonly count: number;
  readonly prompt: number[];
  readonly #model: ServedModel;
  readonly #request: ChatRequest;
  readonly #options: Pick<SamplingOptions, 'maxTokens' | 'stop' | 'grammar' | 'alternatives'>;
  readonly #seed: number;
  readonly #calls: boolean;

  constructor(model: ServedModel, request: ChatRequest) {
    if (request.top_logprobs && !request.logprobs)
      throw badRequest('top_logprobs: asks for logprobs: true', 'top_logprobs');
    const tools = request.tool_choice === 'none' ? [] : (request.tools ?? []);
    const grammar = callGrammar(request, model.vocabulary) ?? formatGrammar(request.response_format);
    this.#model = model;
    this.#request = request;
    this.#calls = tools.length > 0;
    this.count = request.n ?? 1;
    this.#seed = seedOf(request);
    this.prompt = promptOf(model, request, tools);
    refuseLongPrompt(model, this.prompt);
    const most = model.contextTokens - this.prompt.length;
    this.#options = {
      maxTokens: Math.min(most, request.max_completion_tokens ?? request.max_tokens ?? most),
      stop: model.chat.stopTokens,
      grammar,
      alternatives: request.top_logprobs ?? 0,
    };
  }

  /** @param onEnd told why a turn ended, behind all else of it */
  sample(
    signal: AbortSignal,
    onToken: () => void,
    tell: TellDeltas,
    onEnd?: (choice: number, reason: FinishReason) => void,
  ): Promise<(Ended & { finishReason: FinishReason })[]> {
    const { stop: stopStrings } = this.#request;
    const { chat, logprobs } = this.#model;
    const one = async (_: unknown, choice: number) => {
      const reader = chat.reader({ stopStrings, calls: this.#calls });
      const options = { ...samplingOptions(this.#request, choice, this.#seed), ...this.#options };
      const ended = await sampleSequence(this.#model, this.prompt, options, signal, (token: SampledToken) => {
        onToken();
        const entry =
          this.#request.logprobs && !chat.stopTokens.includes(token.token) ? logprobs.chat(token) : undefined;
        const deltas = reader.push(token.token);
        if (deltas.length > 0 || entry) tell(choice, deltas, entry);
        return reader.stopped ? 'enough' : 'more';
      });
      const rest = reader.end();
      if (rest.length > 0) tell(choice, rest, undefined);
      const finishReason: FinishReason =
        ended.reason === 'stop' && reader.turn.calls.length > 0 ? 'tool_calls' : ended.reason;
      onEnd?.(choice, finishReason);
      return { ...ended, finishReason };
    };
    return Promise.all(Array.from({ length: this.count }, one));
  }
}

function promptOf(model: ServedModel, request: ChatRequest, tools: NonNullable<ChatRequest['tools']>): number[] {
  const dialogue = dialogueOf(request.messages);
  refuseLongText(
    model,
    dialogue.reduce((sum, { content }) => sum + content.length, 0),
  );
  try {
    return model.chat.prompt(dialogue, toolSchemas(tools));
  } catch (error) {
    if (error instanceof UserError) throw badRequest(error.message, 'messages');
    throw error;
  }
}

function callId(): string {
  return `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
}

function chatDelta(delta: TurnDelta): object {
  if (delta.kind === 'text') return { content: delta.text };
  const call =
    delta.kind === 'call'
      ? { id: callId(), type: 'function', function: { name: delta.name, arguments: '' } }
      : { function: { arguments: delta.text } };
  return { tool_calls: [{ index: delta.call, ...call }] };
}

/** An assistant message put together from what would be streamed of it. */
class WholeTurn {
  #text = '';
  readonly #calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = [];
  readonly #logprobs: object[] = [];

  take(deltas: readonly TurnDelta[], entry: object | undefined): void {
    if (entry) this.#logprobs.push(entry);
    for (const delta of deltas) {
      if (delta.kind === 'text') this.#text += delta.text;
      else if (delta.kind === 'arguments') this.#calls[delta.call].function.arguments += delta.text;
      else this.#calls.push({ id: callId(), type: 'function', function: { name: delta.name, arguments: '' } });
    }
  }

  result(index: number, finish_reason: FinishReason) {
    const calls = this.#calls.length > 0;
    return {
      index,
      message: {
        role: 'assistant',
        content: calls && !this.#text ? null : this.#text,
        refusal: null,
        ...(calls && { tool_calls: this.#calls }),
      },
      logprobs: this.#logprobs.length > 0 ? { content: this.#logprobs, refusal: null } : null,
      finish_reason,
    };
  }
}

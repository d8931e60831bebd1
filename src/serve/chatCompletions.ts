import { randomUUID } from 'node:crypto';
import type { SampledToken, SamplingOptions } from '../engine/types.ts';
import type { TurnDelta } from '../text/turnText.ts';
import type { Answering } from './answering.ts';
import type { ChatWork } from './chatReading.ts';
import { type Ended, sampleSequence, samplingOptions, seedOf } from './generation.ts';
import type { ServedModel } from './servedModel.ts';

type FinishReason = Ended['reason'] | 'tool_calls';

/** `POST /v1/chat/completions`. */
export function answerChat(model: ServedModel, work: ChatWork): Answering {
  const { request, prompt } = work;
  const turns = new Turns(model, work);
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.name };
  const chunk = (choices: object[], more = {}) => ({ ...head, object: 'chat.completion.chunk', choices, ...more });
  return {
    sequences: turns.count,
    promptTokens: prompt.length,
    streamed: request.stream ?? false,
    async whole(signal, onToken) {
      const choices = Array.from({ length: turns.count }, () => new WholeTurn());
      const ended = await turns.sample(signal, onToken, (choice, deltas, entry) => choices[choice].take(deltas, entry));
      return {
        ...head,
        object: 'chat.completion',
        choices: choices.map((choice, index) => choice.result(index, ended[index].finishReason)),
        usage: usage(prompt.length, ended),
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
      if (request.stream_options?.include_usage) send(chunk([], { usage: usage(prompt.length, ended) }));
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
  readonly #model: ServedModel;
  readonly #work: ChatWork;
  readonly #maxTokens: number;
  readonly #seed: number;

  constructor(model: ServedModel, work: ChatWork) {
    const { request, prompt } = work;
    this.#model = model;
    this.#work = work;
    this.count = request.n ?? 1;
    this.#seed = seedOf(request);
    const most = model.contextTokens - prompt.length;
    this.#maxTokens = Math.min(most, request.max_completion_tokens ?? request.max_tokens ?? most);
  }

  /** @param onEnd told why a turn ended, behind all else of it */
  sample(
    signal: AbortSignal,
    onToken: () => void,
    tell: TellDeltas,
    onEnd?: (choice: number, reason: FinishReason) => void,
  ): Promise<(Ended & { finishReason: FinishReason })[]> {
    const { request, prompt, grammar, calls, thought } = this.#work;
    const { chat, logprobs } = this.#model;
    const one = async (_: unknown, choice: number) => {
      const reader = chat.reader({ stopStrings: request.stop, calls, thought });
      const options: SamplingOptions = {
        ...samplingOptions(request, choice, this.#seed, chat.stopTokens),
        maxTokens: this.#maxTokens,
        grammar,
        alternatives: request.top_logprobs ?? 0,
      };
      const ended = await sampleSequence(this.#model, prompt, options, signal, (token: SampledToken) => {
        onToken();
        const entry = request.logprobs && !chat.stopTokens.includes(token.token) ? logprobs.chat(token) : undefined;
        const deltas = request.stop_token_ids?.includes(token.token) ? [] : reader.push(token.token);
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

function callId(): string {
  return `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
}

function chatDelta(delta: TurnDelta): object {
  if (delta.kind === 'text') return { content: delta.text };
  if (delta.kind === 'thought') return { reasoning_content: delta.text };
  const call =
    delta.kind === 'call'
      ? { id: callId(), type: 'function', function: { name: delta.name, arguments: '' } }
      : { function: { arguments: delta.text } };
  return { tool_calls: [{ index: delta.call, ...call }] };
}

/** An assistant message put together from what would be streamed of it. */
class WholeTurn {
  #text = '';
  #thought = '';
  readonly #calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = [];
  readonly #logprobs: object[] = [];

  take(deltas: readonly TurnDelta[], entry: object | undefined): void {
    if (entry) this.#logprobs.push(entry);
    for (const delta of deltas) {
      if (delta.kind === 'text') this.#text += delta.text;
      else if (delta.kind === 'thought') this.#thought += delta.text;
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
        ...(this.#thought && { reasoning_content: this.#thought }),
        ...(calls && { tool_calls: this.#calls }),
      },
      logprobs: this.#logprobs.length > 0 ? { content: this.#logprobs, refusal: null } : null,
      finish_reason,
    };
  }
}

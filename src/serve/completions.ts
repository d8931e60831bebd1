import { randomUUID } from 'node:crypto';
import type { RankedToken, SampledToken, Scores } from '../engine/types.ts';
import { TextStream } from '../text/textStream.ts';
import { TokenStream } from '../text/tokenStream.ts';
import type { Answering } from './answering.ts';
import { usage } from './chatCompletions.ts';
import type { CompletionWork } from './completionReading.ts';
import { type Ended, sampleSequence, samplingOptions, seedOf } from './generation.ts';
import type { LoggedToken } from './logprobs.ts';
import type { ServedModel } from './servedModel.ts';

const defaultTokens = 16;

/**
 * `POST /v1/completions`: text or token ids go on, and with `prompt_logprobs` they are scored. A text is data: it spells no
 * control tokens, which only ids can be.
 */
export function answerCompletion(model: ServedModel, work: CompletionWork): Answering {
  const { request } = work;
  const texts = new Texts(model, work);
  const head = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: model.name,
  };
  return {
    sequences: texts.count,
    promptTokens: texts.promptTokens,
    streamed: request.stream ?? false,
    async whole(signal, onToken) {
      const written = Array.from({ length: texts.count }, (_, choice) => texts.echo(choice));
      const [ranked, scores, ended] = await Promise.all([
        texts.rank(signal),
        texts.score(),
        texts.sample(signal, onToken, (choice, text) => {
          written[choice] += text;
        }),
      ]);
      const choices = ended.map(({ reason, sampled }, index) => ({
        index,
        text: written[index],
        logprobs:
          request.logprobs == null ? null : model.logprobs.completion([...texts.echoed(index, ranked), ...sampled], 0),
        finish_reason: reason,
        ...(request.prompt_logprobs != null &&
          ranked && { prompt_logprobs: model.logprobs.prompt(ranked[texts.promptOf(index)], request.prompt_logprobs) }),
        ...(scores && { prompt_scores: texts.scored(index, scores) }),
        ...(request.return_token_ids && {
          token_ids: sampled.map(({ token }) => token),
          prompt_token_ids: texts.prompt(index),
        }),
      }));
      return { ...head, choices, usage: usage(texts.promptTokens, ended) };
    },
    async stream(signal, onToken, send) {
      const offsets = Array.from({ length: texts.count }, () => 0);
      const tell = (index: number, text: string, told: readonly LoggedToken[]) => {
        const logprobs =
          request.logprobs == null || told.length === 0 ? null : model.logprobs.completion(told, offsets[index]);
        for (const { token } of told) offsets[index] += model.logprobs.text(token).length;
        send({ ...head, choices: [{ index, text, logprobs, finish_reason: null }] });
      };
      if (request.echo) {
        const ranked = await texts.rank(signal);
        for (let index = 0; index < texts.count; index++) tell(index, texts.echo(index), texts.echoed(index, ranked));
      }
      const ended = await texts.sample(signal, onToken, (index, text, sampled) =>
        tell(index, text, sampled ? [sampled] : []),
      );
      ended.forEach(({ reason }, index) => {
        send({ ...head, choices: [{ index, text: '', logprobs: null, finish_reason: reason }] });
      });
      if (request.stream_options?.include_usage) {
        send({ ...head, choices: [], usage: usage(texts.promptTokens, ended) });
      }
    },
  };
}

/** The continuations that a request asks for: `n` of each prompt. */
class Texts {
  readonly count: number;
  readonly promptTokens: number;
  readonly #model: ServedModel;
  readonly #work: CompletionWork;
  readonly #each: number;
  readonly #seed: number;

  constructor(model: ServedModel, work: CompletionWork) {
    const { request, prompts } = work;
    this.#model = model;
    this.#work = work;
    this.#each = request.n ?? 1;
    this.#seed = seedOf(request);
    this.count = prompts.length * this.#each;
    this.promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  }

  /** Which prompt a choice goes on from. */
  promptOf(choice: number): number {
    return Math.floor(choice / this.#each);
  }

  prompt(choice: number): number[] {
    return this.#work.prompts[this.promptOf(choice)];
  }

  sample(
    signal: AbortSignal,
    onToken: () => void,
    tell: (choice: number, text: string, sampled?: SampledToken) => void,
  ): Promise<(Ended & { sampled: SampledToken[] })[]> {
    const { chat, vocabulary, contextTokens } = this.#model;
    const { request, grammar } = this.#work;
    const one = async (_: unknown, choice: number) => {
      const prompt = this.prompt(choice);
      const sampled: SampledToken[] = [];
      const decoded = new TokenStream(vocabulary);
      const text = new TextStream(request.stop);
      const silent = [...chat.stopTokens, ...(request.stop_token_ids ?? [])];
      const options = {
        ...samplingOptions(request, choice, this.#seed, chat.stopTokens),
        maxTokens: Math.min(contextTokens - prompt.length, request.max_tokens ?? defaultTokens),
        grammar,
        alternatives: request.logprobs ?? 0,
      };
      const ended = await sampleSequence(this.#model, prompt, options, signal, token => {
        onToken();
        sampled.push(token);
        if (silent.includes(token.token)) {
          // None of the text, but a token like others: clients count them.
          tell(choice, '', token);
          return 'more';
        }
        tell(choice, text.push(decoded.push(token.token)), token);
        return text.stopped ? 'enough' : 'more';
      });
      const rest = text.push(decoded.end()) + text.end();
      if (rest) tell(choice, rest);
      return { ...ended, sampled };
    };
    return Promise.all(Array.from({ length: this.count }, one));
  }

  /** The prompt as text, where it is to stand before what is sampled. */
  echo(choice: number): string {
    return this.#work.request.echo ? this.#work.echoes[this.promptOf(choice)] : '';
  }

  /** The same as tokens, of which the first has nothing before it. */
  echoed(choice: number, ranked: RankedToken[][] | undefined): LoggedToken[] {
    const { request, prompts } = this.#work;
    if (!request.echo || !ranked) return [];
    const prompt = this.promptOf(choice);
    const most = request.logprobs ?? 0;
    return [
      { token: prompts[prompt][0], logprob: null },
      ...ranked[prompt].map(({ token, logprob, alternatives }) => ({
        token,
        logprob,
        alternatives: alternatives.slice(0, most),
      })),
    ];
  }

  /** Log-probabilities of the prompts' own tokens, where they are asked for. */
  async rank(signal: AbortSignal): Promise<RankedToken[][] | undefined> {
    const { prompt_logprobs, echo, logprobs } = this.#work.request;
    const wanted = [prompt_logprobs, echo ? logprobs : undefined].filter(count => count != null);
    if (wanted.length === 0) return undefined;
    const alternatives = Math.max(...wanted);
    return Promise.all(this.#work.prompts.map(prompt => this.#model.sampler.rank(prompt, alternatives, signal)));
  }

  scored(choice: number, scores: readonly Scores[]) {
    const prompt = this.promptOf(choice);
    const from = this.#work.request.prompt_scores![prompt];
    return this.#model.logprobs.scored(this.#work.prompts[prompt], from, scores[prompt]);
  }

  /** The prompts as training scores them, where that is asked for. */
  async score(): Promise<Scores[] | undefined> {
    const { prompts, request } = this.#work;
    const from = request.prompt_scores;
    if (!from) return undefined;
    return this.#model.sampler.score(
      prompts.map((tokens, i) => ({ tokens, mask: new Uint8Array(tokens.length).fill(1, from[i]) })),
      request.prompt_alternatives ?? 0,
    );
  }
}

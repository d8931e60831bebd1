import { UserError } from '../../errors.ts';
import type { Scorer, TokenIds } from '../types.ts';
import type { ServedModel } from './servedModel.ts';

/** Tokens that the server samples behind the prompt. */
const sampledTokens = 16;
/** Where log-probabilities move by more than this here, in nats on average, some bit of them moves on every server. */
const surelyMoved = 1e-4;

export interface ProbeOptions {
  /** Of the server. */
  url: string;
  served: ServedModel;
  /** The weights that are here. */
  local: Scorer;
  prompt: TokenIds;
  /** In nats a token, on average. */
  tolerance: number;
}

/** Log-probabilities of the prompt's tokens: by this machine's weights, and by the server's. */
interface Reading {
  here: Float32Array;
  there: Float32Array;
}

/**
 * Tells whether a server has the weights that are here: of the same few tokens it must say, within a tolerance, what is said of
 * them here. The prompt is always the same, so that a prefix cache of earlier weights shows in what is sampled behind it.
 */
export class WeightsProbe {
  readonly #options: ProbeOptions;
  #last: Reading | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** Right after weights were loaded. @throws UserError if the server has others, or samples by keys and values of others */
  async refuseOtherWeights(): Promise<void> {
    const { url, served, local, prompt, tolerance } = this.#options;
    const { length } = prompt;
    const sampled = await served.generate(prompt, { maxTokens: sampledTokens });
    const [{ logprobs }] = await local.score([whole([...prompt, ...sampled.tokens])]);
    const reading = { here: logprobs.subarray(0, length), there: await this.#scoredThere() };
    const scored = distance(reading.there, reading.here);
    if (!(scored <= tolerance)) {
      throw new UserError(
        `${url} finds ${this.#apart(length, scored)}: it has other weights, or computes them in other ways`,
      );
    }
    const behind = distance(sampled.logprobs, logprobs.subarray(length));
    if (!(behind <= tolerance)) {
      throw new UserError(
        `${url} samples ${this.#apart(sampled.tokens.length, behind)}, while it scores as here: something in it is of earlier ` +
          'weights, such as its cache of keys and values',
      );
    }
    const { here, there } = this.#last ?? reading;
    if (distance(reading.here, here) > surelyMoved && distance(reading.there, there) === 0) {
      throw new UserError(`${url} scores to the last bit as before: it has the weights that it had`);
    }
    this.#last = reading;
  }

  /** Some time after that. @throws UserError if the server has other weights now */
  async refuseChangedWeights(): Promise<void> {
    const { url, prompt, tolerance } = this.#options;
    const apart = distance(await this.#scoredThere(), this.#last!.here);
    if (apart <= tolerance) return;
    throw new UserError(
      `${url} finds ${this.#apart(prompt.length, apart)} now, and did not when sampling began: it was restarted, or given ` +
        'other weights. --resume sends these again',
    );
  }

  async #scoredThere(): Promise<Float32Array> {
    const { served, prompt } = this.#options;
    const [{ logprobs }] = await served.score([whole(prompt)]);
    return logprobs;
  }

  #apart(tokens: number, nats: number): string {
    return (
      `${tokens} tokens ${nats.toPrecision(2)} nats more or less probable than this machine, on average, ` +
      `and ${this.#options.tolerance} are allowed (rollout.server.tolerance)`
    );
  }
}

function whole(tokens: TokenIds) {
  return { tokens, mask: Uint8Array.from(tokens, (_, t) => (t === 0 ? 0 : 1)) };
}

/** Mean of the absolute differences. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let t = 0; t < a.length; t++) sum += Math.abs(a[t] - b[t]);
  return sum / a.length;
}

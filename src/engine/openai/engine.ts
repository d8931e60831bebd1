import { UserError } from '../../errors.ts';
import type { Engine, Scorer, Trainer } from '../types.ts';
import type { ConnectionOptions } from './connection.ts';
import { refuseOtherTokensServed } from './sameTokens.ts';
import { ServedModel } from './servedModel.ts';

/**
 * A model that a server has: vLLM, SGLang, `sod serve`. Where other engines open a checkpoint, this one has the one model that
 * is served; the folder that is named beside it tells by which tokens it is spoken to, and needs no weights.
 */
export class OpenAIEngine implements Engine {
  /** What the server calls the model. */
  readonly model: string;
  readonly #address: string;
  readonly #served: ServedModel;
  readonly #onNotice: (notice: string) => void;

  private constructor(address: string, served: ServedModel, { onNotice = () => {} }: ConnectionOptions) {
    this.#address = address;
    this.#served = served;
    this.#onNotice = onNotice;
    this.model = served.name;
  }

  /**
   * @param address such as `http://127.0.0.1:8000`, with the name of one of several models behind `#`
   * @throws UserError where there is no such server or model.
   */
  static async open(address: string, options: ConnectionOptions = {}): Promise<OpenAIEngine> {
    return new OpenAIEngine(address, await ServedModel.open(address, options), options);
  }

  /** @throws UserError where the server has other tokens than the checkpoint, or cannot score. */
  async scorer(checkpoint: string): Promise<Scorer> {
    const served = await this.#withTokensOf(checkpoint);
    if (!served.tellsEntropies)
      this.#onNotice(`${this.#address} tells no entropies: the metrics have none of the teacher`);
    return served;
  }

  /** @throws UserError where the server has other tokens than the checkpoint. */
  sampler(checkpoint: string): Promise<ServedModel> {
    return this.#withTokensOf(checkpoint);
  }

  async trainer(): Promise<Trainer> {
    throw new UserError(`${this.#address} samples and scores; it trains nothing`);
  }

  async close(): Promise<void> {
    this.#served.close();
  }

  async #withTokensOf(checkpoint: string): Promise<ServedModel> {
    await refuseOtherTokensServed(checkpoint, this.#served, this.#address, this.#onNotice);
    return this.#served;
  }
}

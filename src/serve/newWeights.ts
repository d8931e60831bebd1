import { mkdirSync, realpathSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { z } from 'zod';
import { configOf } from '../checkpoint/checkpoint.ts';
import type { LocalEngine } from '../engine/local/engine.ts';
import { UserError } from '../errors.ts';
import { type ModelConfig, sameShape } from '../model/config.ts';
import { firstIssue } from '../schema.ts';
import { onPath } from '../systemErrors.ts';
import type { Admission } from './admission.ts';
import { ApiError, badRequest } from './apiError.ts';
import type { ServedModel } from './servedModel.ts';

/** As SGLang has it; what else it has there is passed over. */
const weightsRequest = z.object({ model_path: z.string().min(1).max(4096) });

export interface NewWeightsOptions {
  engine: LocalEngine;
  model: ServedModel;
  config: ModelConfig;
  admission: Admission;
  /** The folder that weights may come from; made where it is not there. */
  folder: string;
}

/** Replaces the weights of the served model by those of a folder: `POST /update_weights_from_disk`. */
export class NewWeights {
  readonly #options: NewWeightsOptions;
  readonly #folder: string;

  /** @throws UserError where the folder cannot be made */
  constructor(options: NewWeightsOptions) {
    onPath(options.folder, () => mkdirSync(options.folder, { recursive: true }));
    this.#options = options;
    this.#folder = realpathSync(options.folder);
  }

  /**
   * Answers under way come to their end by the old weights; whoever asks meanwhile is to ask again. Keys and values of the old
   * ones are forgotten with them.
   * @throws ApiError where the folder may not be read, or does not hold such a model: the old weights stay
   */
  async take(body: unknown): Promise<{ success: true; message: string }> {
    const { engine, model, admission } = this.#options;
    const request = weightsRequest.safeParse(body);
    if (!request.success) throw badRequest(firstIssue(request.error), 'model_path');
    const path = this.#allowed(request.data.model_path);
    try {
      this.#refuseOtherShape(path);
      await admission.alone(async () => {
        const old = model.sampler;
        model.sampler = await engine.sampler(path);
        await old.free();
      });
    } catch (error) {
      throw error instanceof UserError ? badRequest(error.message, 'model_path') : error;
    }
    return { success: true, message: `The weights are those of ${path}.` };
  }

  /** The path as it really is. Of what lies elsewhere, nobody learns whether it is there. */
  #allowed(path: string): string {
    const real = realPath(resolve(path));
    const inside = relative(this.#folder, real);
    if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)) return real;
    throw new ApiError(403, `Weights come from folders in ${this.#folder} alone.`, { param: 'model_path' });
  }

  #refuseOtherShape(path: string): void {
    const config = configOf(path);
    if (!sameShape(config, this.#options.config)) {
      throw new UserError(`${path} holds a model of another shape than the one that is served`);
    }
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

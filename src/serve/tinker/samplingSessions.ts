import { randomUUID } from 'node:crypto';
import { ApiError } from '../apiError.ts';
import type { Repeats } from './repeats.ts';
import type { ServedBase } from './servedBase.ts';
import type { TrainedModel } from './trainedModel.ts';

export interface SamplingSession {
  sessionId: string;
  base: ServedBase;
  /** The weights that a model had, or a checkpoint's folder. */
  from: { model: TrainedModel; version: number } | { folder: string };
  repeats: Repeats;
}

const mostSamplingSessions = 10_000;

/** What clients sample from; of too many, the oldest is forgotten. */
export class SamplingSessions {
  readonly #samplings = new Map<string, SamplingSession>();

  /** @returns its id */
  add(sampling: SamplingSession): string {
    const id = `sampling_${randomUUID()}`;
    this.#samplings.set(id, sampling);
    if (this.#samplings.size > mostSamplingSessions) this.#samplings.delete(this.#samplings.keys().next().value!);
    return id;
  }

  /** @throws ApiError 404 where there is no such session */
  find(id: string): SamplingSession {
    const sampling = this.#samplings.get(id);
    if (!sampling) throw new ApiError(404, `There is no sampling session ${JSON.stringify(id)}.`);
    return sampling;
  }

  forgetWhere(isOver: (sampling: SamplingSession) => boolean): void {
    for (const [id, sampling] of this.#samplings) if (isOver(sampling)) this.#samplings.delete(id);
  }
}

import { sizeText } from '../../bytes.ts';
import { UserError } from '../../errors.ts';
import type { Gpu } from './gpu.ts';

/** Bytes that may lie vacant beside the most that were in use at the same time: passes of many lengths would fill a GPU. */
export const spareBytes = 256 << 20;

/**
 * Buffers of a GPU, by number; those that nobody uses are kept for the next tensors of their size. Of these the first is taken, so that
 * work that is done once more, as each decoding step is, has the same buffers again, and nothing has to be bound anew.
 */
export class GpuBuffers {
  readonly #gpu: Gpu;
  /** By their bytes, the first last. */
  readonly #vacant = new Map<number, number[]>();
  #last = 0;
  /** Bytes of all, of those in use, and the most of these. */
  #held = 0;
  #used = 0;
  #mostUsed = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Bytes of a buffer for so many, in steps of an eighth of their power of two, so that nearly equal tensors share buffers. */
  sizeFor(bytes: number): number {
    let step = 256;
    while (step * 16 < bytes) step *= 2;
    const rounded = Math.ceil(bytes / step) * step;
    return rounded > this.#gpu.info.largestBuffer ? wholeWords(bytes) : rounded;
  }

  /** @param bytes as `sizeFor` says */
  take(bytes: number): number {
    const { largestBuffer } = this.#gpu.info;
    if (bytes > largestBuffer) {
      throw new UserError(
        `a tensor of ${sizeText(bytes)} is larger than this GPU takes at a time, ${sizeText(largestBuffer)}; take engine.device: cpu, ` +
          'a smaller model or lora',
      );
    }
    this.#used += bytes;
    this.#mostUsed = Math.max(this.#mostUsed, this.#used);
    const vacant = this.#vacant.get(bytes)?.pop();
    if (vacant !== undefined) return vacant;
    if (this.#held + bytes > this.#mostUsed + spareBytes) this.#destroyVacant();
    this.#held += bytes;
    this.#gpu.send({ kind: 'allocate', buffer: ++this.#last, bytes });
    return this.#last;
  }

  giveBack(bytes: number, buffer: number): void {
    this.#used -= bytes;
    const vacant = this.#vacant.get(bytes) ?? [];
    this.#vacant.set(bytes, vacant);
    let at = vacant.length;
    while (at > 0 && vacant[at - 1] < buffer) at--;
    vacant.splice(at, 0, buffer);
  }

  /** The GPU has the memory of those that nobody uses. */
  trim(): void {
    this.#destroyVacant();
    this.#gpu.flush();
  }

  #destroyVacant(): void {
    for (const [bytes, buffers] of this.#vacant) {
      this.#held -= bytes * buffers.length;
      for (const buffer of buffers) this.#gpu.send({ kind: 'destroy', buffer });
    }
    this.#vacant.clear();
  }
}

/** WebGPU counts bytes by fours. */
export function wholeWords(bytes: number): number {
  return 4 * Math.ceil(bytes / 4);
}

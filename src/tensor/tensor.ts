import { device } from './currentDevice.ts';
import type { Pieces } from './pieces.ts';

export type DType = 'f32' | 'bf16' | 'i32';
export type Shape = readonly number[];

/** What `scope` has to free; the innermost scope is last. */
const scopes: { free(): void }[][] = [];

function tracked<T extends { free(): void }>(resource: T): T {
  scopes.at(-1)?.push(resource);
  return resource;
}

/**
 * Runs `body`; every tensor and packed weight made inside is freed when it ends, however it ends, but for tensors that it
 * returns (alone or in an array), which then belong to the scope around. Nothing waits for the garbage collector.
 */
export function scope<T>(body: () => T): T {
  scopes.push([]);
  let result: T | undefined;
  try {
    result = body();
    return result;
  } finally {
    const kept = new Set<unknown>([result].flat());
    for (const resource of scopes.pop()!) {
      if (kept.has(resource)) tracked(resource);
      else resource.free();
    }
  }
}

/** As `scope`, of work in pieces, and for all that it makes: that stays while it pauses, and is freed when it ends or is given up. */
export function* scopeInPieces<T>(work: Pieces<T>): Pieces<T> {
  const made: { free(): void }[] = [];
  try {
    for (;;) {
      scopes.push(made);
      let piece: IteratorResult<void, T>;
      try {
        piece = work.next();
      } finally {
        scopes.pop();
      }
      if (piece.done) return piece.value;
      yield;
    }
  } finally {
    for (const resource of made) resource.free();
  }
}

/** Like `scope`, but what is made inside belongs to nobody: its owner frees it. */
export function unscoped<T>(body: () => T): T {
  const outer = scopes.splice(0);
  try {
    return body();
  } finally {
    scopes.push(...outer);
  }
}

/** Memory of the device with a shape; belongs to the JavaScript thread that made it. */
export class Tensor {
  private constructor(
    readonly id: number,
    readonly dtype: DType,
    readonly shape: Shape,
  ) {}

  /** Its contents are undefined. */
  static allocate(dtype: DType, shape: Shape): Tensor {
    return tracked(new Tensor(device().allocate(dtype, shape), dtype, shape));
  }

  static zeros(dtype: DType, shape: Shape): Tensor {
    return Tensor.allocate(dtype, shape).zero();
  }

  static from(data: Float32Array | Int32Array, shape: Shape = [data.length], dtype?: 'f32' | 'bf16'): Tensor {
    return Tensor.allocate(data instanceof Int32Array ? 'i32' : (dtype ?? 'f32'), shape).write(data);
  }

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  zero(): this {
    device().zero(this.id);
    return this;
  }

  /** Float32Array into f32 or (rounded) bf16, Int32Array into i32; throws where lengths differ. */
  write(data: Float32Array | Int32Array): this {
    device().write(this.id, data);
    return this;
  }

  /** A copy of the contents. */
  floats(): Float32Array {
    return device().read(this.id) as Float32Array;
  }

  ints(): Int32Array {
    return device().read(this.id) as Int32Array;
  }

  /** `shape` elements from element `offset` on, sharing memory; the memory lives as long as any of its views. */
  view(offset: number, shape: Shape): Tensor {
    return tracked(new Tensor(device().view(this.id, offset, shape), this.dtype, shape));
  }

  converted(dtype: 'f32' | 'bf16'): Tensor {
    const result = Tensor.allocate(dtype, this.shape);
    device().convert(result.id, this.id);
    return result;
  }

  /** Safe to call twice. */
  free(): void {
    device().release(this.id);
  }
}

/** A matrix [rows, columns] whose values stay in GGML's blocks of few bits. */
export class BlockMatrix {
  private constructor(
    readonly id: number,
    readonly shape: Shape,
  ) {}

  /**
   * Its contents are undefined.
   * @param dtype what its values are rounded to
   * @param parts runs of rows, one below another, and the number of their type in GGUF files
   */
  static allocate(dtype: 'f32' | 'bf16', columns: number, parts: { type: number; rows: number }[]): BlockMatrix {
    const pairs = Int32Array.from(parts.flatMap(({ type, rows }) => [type, rows]));
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    return tracked(new BlockMatrix(device().blockMatrix(dtype === 'bf16', columns, pairs), [rows, columns]));
  }

  /** Whole rows of one part, from row `first` on. */
  write(first: number, bytes: Uint8Array): this {
    device().writeBlocks(this.id, first, bytes);
    return this;
  }

  free(): void {
    device().release(this.id);
  }
}

/** A weight [rows, columns] in the layout of the matrix product; `repack` after each update. */
export class PackedWeight {
  private constructor(
    readonly id: number,
    readonly shape: Shape,
    readonly dtype: 'f32' | 'bf16',
    readonly chunkRows: number,
  ) {}

  /**
   * Of a matrix in blocks, panels are made for each product and go behind it: then it takes no memory of its own.
   * @param chunkRows rows packed together; fewer than all only for the LM head
   */
  static of(
    weight: Tensor | BlockMatrix,
    dtype: 'f32' | 'bf16',
    direction: 'forward' | 'backward',
    chunkRows = weight.shape[0],
  ): PackedWeight {
    const id = device().pack(weight.id, dtype === 'bf16', direction === 'backward', chunkRows);
    return tracked(new PackedWeight(id, weight.shape, dtype, chunkRows));
  }

  /** The other direction of one that is packed forward; its panels, too, are made for each product, a chunk at a time. */
  backward(): PackedWeight {
    const id = device().pack(this.id, this.dtype === 'bf16', true, this.chunkRows);
    return tracked(new PackedWeight(id, this.shape, this.dtype, this.chunkRows));
  }

  /** Into how many runs of rows it is cut. */
  get chunks(): number {
    return Math.ceil(this.shape[0] / this.chunkRows);
  }

  /** Brings both layouts of a weight up to date with it. */
  static repack(weight: Tensor, forward: PackedWeight, backward: PackedWeight): void {
    device().repack(forward.id, backward.id, weight.id);
  }

  free(): void {
    device().release(this.id);
  }
}

/**
 * An interpreter between two calls is its linear memory: variables, modules, random state, everything. So a session is
 * kept as the pages in which it differs from the freshly started interpreter, and a reset puts those pages back.
 */

import type { Instance } from './webAssembly.ts';

const BLOCK = 65_536;
const PAGE = 4_096;

/** What one session's memory has in place of the base. */
export interface MemoryImage {
  /** Offsets of the pages that differ. */
  pages: Uint32Array;
  /** Their contents, one after the other. */
  contents: Uint8Array;
  /** What lies above the base's heap. */
  above: Uint8Array;
  bytes: number;
}

export class InterpreterMemory {
  readonly #exports: Instance['exports'];
  readonly #base: Buffer;
  /** The stack's part of memory, dead between calls. */
  readonly #stack: { start: number; end: number };
  readonly #stackPointer: number;

  /** Takes the interpreter as it is now for the base. No call into it may be under way, now and whenever this is used. */
  constructor(instance: Instance) {
    this.#exports = instance.exports;
    const value = (name: string) => (this.#exports[name] as () => number)() >>> 0;
    this.#stackPointer = value('emscripten_stack_get_current');
    this.#stack = {
      start: Math.ceil(value('emscripten_stack_get_end') / PAGE) * PAGE,
      end: Math.floor(this.#stackPointer / PAGE) * PAGE,
    };
    const heapEnd = Math.ceil(this.#heapEnd() / BLOCK) * BLOCK;
    this.#base = Buffer.from(this.#bytes().subarray(0, heapEnd));
  }

  /** What is now different from the base. */
  capture(): MemoryImage {
    const now = this.#bytes();
    const pages = this.#changedPages(now);
    const contents = new Uint8Array(pages.length * PAGE);
    pages.forEach((page, i) => {
      contents.set(now.subarray(page, page + PAGE), i * PAGE);
    });
    const above = now.slice(this.#base.length, Math.max(this.#base.length, this.#heapEnd()));
    return { pages: Uint32Array.from(pages), contents, above, bytes: contents.length + above.length };
  }

  /** Makes memory the base again, and then what `image` says. `now` saves a search where memory has just been captured. */
  restore(image?: MemoryImage, now?: MemoryImage): void {
    const memory = this.#bytes();
    const heapEnd = this.#heapEnd();
    for (const page of now?.pages ?? this.#changedPages(memory)) {
      memory.set(this.#base.subarray(page, page + PAGE), page);
    }
    if (heapEnd > this.#base.length) memory.fill(0, this.#base.length, heapEnd);
    if (image) {
      image.pages.forEach((page, i) => {
        memory.set(image.contents.subarray(i * PAGE, (i + 1) * PAGE), page);
      });
      memory.set(image.above, this.#base.length);
    }
    (this.#exports._emscripten_stack_restore as (pointer: number) => void)(this.#stackPointer);
  }

  #changedPages(now: Uint8Array): number[] {
    const memory = Buffer.from(now.buffer);
    const differs = (start: number, bytes: number) =>
      memory.compare(this.#base, start, start + bytes, start, start + bytes) !== 0;
    const pages: number[] = [];
    for (let block = 0; block < this.#base.length; block += BLOCK) {
      if (block >= this.#stack.start && block + BLOCK <= this.#stack.end) continue;
      if (!differs(block, BLOCK)) continue;
      for (let page = block; page < block + BLOCK; page += PAGE) {
        const isStack = page >= this.#stack.start && page < this.#stack.end;
        if (!isStack && differs(page, PAGE)) pages.push(page);
      }
    }
    return pages;
  }

  #bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#exports.memory.buffer);
  }

  #heapEnd(): number {
    const address = (this.#exports.emscripten_get_sbrk_ptr as () => number)() >>> 0;
    return new DataView(this.#bytes().buffer).getUint32(address, true);
  }
}

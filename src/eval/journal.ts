import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { z } from 'zod';
import { writeFileWhole } from '../files.ts';
import { onPath } from '../systemErrors.ts';

const CHUNK = 2 ** 20;
const NEWLINE = 0x0a;

/**
 * A file of JSON lines to which records are added as they are made, each with its place in an order that is known before.
 * Opened again after a crash it knows what it has; a line that was cut or damaged is no record, and gives its place free.
 */
export class Journal<T> {
  readonly #path: string;
  readonly #fd: number;
  readonly #schema: z.ZodType<T>;
  readonly #placeOf: (record: T) => number;
  /** Where the line of each record is, by its place. */
  readonly #lines = new Map<number, [start: number, bytes: number]>();
  #end = 0;

  /** Opens the journal in file `path`, or begins it. What `schema` refuses is no record. */
  constructor(path: string, schema: z.ZodType<T>, placeOf: (record: T) => number) {
    this.#path = path;
    this.#schema = schema;
    this.#placeOf = placeOf;
    this.#fd = onPath(path, () => openSync(path, existsSync(path) ? 'r+' : 'wx+'));
    for (const [start, line] of completeLines(this.#fd)) {
      const record = this.#parse(line);
      if (record !== undefined) this.#lines.set(placeOf(record), [start, line.length]);
      this.#end = start + line.length + 1;
    }
    ftruncateSync(this.#fd, this.#end);
  }

  get size(): number {
    return this.#lines.size;
  }

  has(place: number): boolean {
    return this.#lines.has(place);
  }

  /** @throws RangeError if there is no record in that place. */
  read(place: number): T {
    return JSON.parse(this.#line(place).toString());
  }

  /** All records, in the order of their places. */
  *records(): Generator<T> {
    for (const place of this.#places()) yield this.read(place);
  }

  add(record: T): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    onPath(this.#path, () => {
      for (let written = 0; written < line.length; ) {
        written += writeSync(this.#fd, line, written, line.length - written, this.#end + written);
      }
    });
    this.#lines.set(this.#placeOf(record), [this.#end, line.length - 1]);
    this.#end += line.length;
  }

  /**
   * Leaves in the file the records alone, in their order, so that it does not tell how they were made. No record can be added
   * any more.
   */
  finish(): void {
    const places = this.#places();
    let end = 0;
    const isInOrder = places.every(place => {
      const [start, bytes] = this.#lines.get(place)!;
      const follows = start === end;
      end = start + bytes + 1;
      return follows;
    });
    if (isInOrder && end === this.#end) return;
    writeFileWhole(this.#path, fd => {
      for (const place of places) writeSync(fd, Buffer.concat([this.#line(place), Buffer.of(NEWLINE)]));
    });
  }

  close(): void {
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }

  #parse(line: Buffer): T | undefined {
    try {
      return this.#schema.parse(JSON.parse(line.toString()));
    } catch {
      return undefined;
    }
  }

  #places(): number[] {
    return [...this.#lines.keys()].sort((a, b) => a - b);
  }

  #line(place: number): Buffer {
    const entry = this.#lines.get(place);
    if (!entry) throw new RangeError(`${this.#path} has no record in place ${place}`);
    const [start, bytes] = entry;
    const line = Buffer.alloc(bytes);
    for (let read = 0; read < bytes; ) read += readSync(this.#fd, line, read, bytes - read, start + read);
    return line;
  }
}

/** The lines of a file that end with a newline, and where they begin. */
function* completeLines(fd: number): Generator<[start: number, line: Buffer]> {
  let rest = Buffer.alloc(0);
  let start = 0;
  for (let position = 0; ; ) {
    const chunk = Buffer.alloc(CHUNK);
    const bytes = readSync(fd, chunk, 0, CHUNK, position);
    if (bytes === 0) return;
    position += bytes;
    rest = Buffer.concat([rest, chunk.subarray(0, bytes)]);
    let from = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, from)) {
      yield [start, rest.subarray(from, end)];
      start += end + 1 - from;
      from = end + 1;
    }
    rest = rest.subarray(from);
  }
}

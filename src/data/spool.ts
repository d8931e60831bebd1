import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson, stringifyJson } from '../json.ts';
import { onPath } from '../systemErrors.ts';

/** Lines are gathered to about this size before they are written. */
const BUFFER_BYTES = 2 ** 20;

/**
 * Records that are too many for memory, each to be had by its number: JSON in a temporary file (in `TMPDIR`), which is
 * gone with the process, however that ends.
 */
export class Spool<T> {
  readonly #fd: number;
  /** Where each record begins, and where the last one ends. */
  readonly #offsets: number[];
  /** SHA-256 of all records: another one means other records. */
  readonly digest: string;

  private constructor(fd: number, offsets: number[], digest: string) {
    this.#fd = fd;
    this.#offsets = offsets;
    this.digest = digest;
  }

  /** Takes all records, one after the other. @throws what `records` throws. */
  static async of<T>(records: AsyncIterable<T>): Promise<Spool<T>> {
    const fd = openNameless();
    const offsets = [0];
    const hash = createHash('sha256');
    let waiting: Buffer[] = [];
    let waitingBytes = 0;
    const flush = () => {
      const bytes = Buffer.concat(waiting);
      hash.update(bytes);
      onPath(tmpdir(), () => {
        for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      });
      waiting = [];
      waitingBytes = 0;
    };
    try {
      for await (const record of records) {
        const bytes = Buffer.from(`${stringifyJson(record)}\n`);
        waiting.push(bytes);
        waitingBytes += bytes.length;
        offsets.push(offsets[offsets.length - 1] + bytes.length);
        if (waitingBytes >= BUFFER_BYTES) flush();
      }
      flush();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new Spool(fd, offsets, hash.digest('hex'));
  }

  get length(): number {
    return this.#offsets.length - 1;
  }

  /** The index-th record, from 0. */
  read(index: number): T {
    const start = this.#offsets[index];
    const bytes = Buffer.alloc(this.#offsets[index + 1] - start);
    for (let read = 0; read < bytes.length; ) {
      read += readSync(this.#fd, bytes, read, bytes.length - read, start + read);
    }
    return parseJson(bytes.toString()) as T;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** A file to write and read that has lost its name already. */
function openNameless(): number {
  return onPath(tmpdir(), () => {
    const folder = mkdtempSync(join(tmpdir(), 'sod-'));
    try {
      return openSync(join(folder, 'records'), 'wx+');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

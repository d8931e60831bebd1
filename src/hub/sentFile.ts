import { createReadStream, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** How far a file has come, shared by its parts. It is read as a whole for its hash, and then to be sent. */
interface Reading {
  bytes: number;
  isHashed: boolean;
  sentBytes: number;
  tell: (sentBytes: number) => void;
}

/**
 * A file on disk, or a part of it, as a Blob that is read as it is needed: weights are larger than memory may be. It tells
 * how much of it was sent, which fetch does not.
 */
export class SentFile extends Blob {
  override readonly size: number;
  readonly #path: string;
  readonly #start: number;
  readonly #end: number;
  readonly #reading: Reading;

  private constructor(path: string, start: number, end: number, reading: Reading) {
    super([]);
    this.size = end - start;
    this.#path = path;
    this.#start = start;
    this.#end = end;
    this.#reading = reading;
  }

  static of(path: string, onSent: (sentBytes: number) => void = () => {}): SentFile {
    const bytes = statSync(path).size;
    return new SentFile(path, 0, bytes, { bytes, isHashed: false, sentBytes: 0, tell: onSent });
  }

  override slice(start = 0, end = this.size): SentFile {
    const from = Math.min(this.#start + start, this.#end);
    return new SentFile(this.#path, from, Math.max(from, Math.min(this.#start + end, this.#end)), this.#reading);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const content = new Uint8Array(this.size);
    const file = await open(this.#path, 'r');
    try {
      for (let done = 0; done < content.length; ) {
        const { bytesRead } = await file.read(content, done, content.length - done, this.#start + done);
        if (bytesRead === 0) throw new Error(`${this.#path} became shorter while it was read`);
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
    if (this.#isWhole) this.#reading.isHashed = true;
    return content.buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  override stream(): ReturnType<Blob['stream']> {
    if (this.size === 0) return new Blob([]).stream();
    const reading = this.#reading;
    const isSending = reading.isHashed;
    const whole = this.#isWhole;
    const source = createReadStream(this.#path, { start: this.#start, end: this.#end - 1, highWaterMark: 2 ** 18 });
    const counted = async function* () {
      for await (const chunk of source) {
        yield chunk as Uint8Array;
        if (!isSending) continue;
        reading.sentBytes += chunk.length;
        reading.tell(reading.sentBytes);
      }
      if (whole) reading.isHashed = true;
    };
    return Readable.toWeb(Readable.from(counted(), { objectMode: false })) as ReturnType<Blob['stream']>;
  }

  get #isWhole(): boolean {
    return this.size === this.#reading.bytes;
  }
}

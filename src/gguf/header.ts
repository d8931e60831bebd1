import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { refuseOtherThanFile } from '../documents.ts';
import { UserError } from '../errors.ts';
import { elements } from '../model/safetensors.ts';
import { onPath } from '../systemErrors.ts';
import { storedBytes, type TensorTypeName, tensorTypeNames, tensorTypes } from './tensorTypes.ts';

/** A metadata value; whole numbers of 64 bits are numbers, as far as these are exact. */
export type MetadataValue = number | boolean | string | MetadataValue[];

export interface GgufTensor {
  name: string;
  /** Row-major, as elsewhere here: the file has it the other way round. */
  shape: number[];
  type: TensorTypeName;
  /** Where its values begin in the file, in bytes. */
  offset: number;
}

export interface GgufHeader {
  metadata: ReadonlyMap<string, MetadataValue>;
  tensors: GgufTensor[];
}

/** Whether a checkpoint is one file in this format. */
export function isGguf(path: string): boolean {
  return path.endsWith('.gguf');
}

/**
 * Reads what stands before the tensors' values. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @throws UserError when the file is missing, damaged, or has tensors of a type that is not read here.
 */
export function readGgufHeader(path: string): GgufHeader {
  refuseOtherThanFile(path);
  return onPath(path, () => {
    const fd = openSync(path, 'r');
    try {
      return new HeaderReader(fd, path).read();
    } finally {
      closeSync(fd);
    }
  });
}

const windowBytes = 1 << 20;
const maxDimensions = 4;
const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

/** Walks through the file in windows; every length is checked against what is left of it before it is believed. */
class HeaderReader {
  readonly #fd: number;
  readonly #path: string;
  readonly #size: number;
  #window = Buffer.alloc(0);
  #windowStart = 0;
  #at = 0;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
    this.#size = fstatSync(fd).size;
  }

  read(): GgufHeader {
    if (this.#size < 24 || this.#take(4).toString('latin1') !== 'GGUF')
      throw this.#damaged('it does not begin with GGUF');
    const version = this.#u32();
    if (version !== 2 && version !== 3)
      throw new UserError(`${this.#path}: GGUF version ${version}; supported: 2 and 3`);
    const [tensorCount, valueCount] = [this.#count(24), this.#count(12)];
    const metadata = new Map<string, MetadataValue>();
    for (let i = 0; i < valueCount; i++) {
      const key = this.#string();
      if (metadata.has(key)) throw this.#damaged(`it says ${key} twice`);
      metadata.set(key, this.#value(this.#u32(), 0));
    }
    this.#refusePart(metadata);
    const infos = Array.from({ length: tensorCount }, () => this.#tensor());
    const alignment = metadata.get('general.alignment') ?? 32;
    if (typeof alignment !== 'number' || !(alignment > 0) || alignment % 8 !== 0)
      throw this.#damaged('its alignment is no multiple of 8');
    const start = Math.ceil(this.#at / alignment) * alignment;
    const tensors = infos.map(info => ({ ...info, offset: start + info.offset }));
    this.#refuseMisplaced(tensors);
    return { metadata, tensors };
  }

  #refusePart(metadata: ReadonlyMap<string, MetadataValue>): void {
    const [number, count] = [metadata.get('split.no'), metadata.get('split.count')].map(Number);
    if (!(count > 1)) return;
    throw new UserError(
      `${this.#path} is part ${number + 1} of ${count} of a model: ` +
        'join them with llama-gguf-split --merge <first part> <whole file>, and give the whole',
    );
  }

  /** Each tensor has a name and a place of its own in the file. */
  #refuseMisplaced(tensors: readonly GgufTensor[]): void {
    const names = new Set<string>();
    let free = 0;
    for (const { name, shape, type, offset } of tensors.toSorted((a, b) => a.offset - b.offset)) {
      if (names.has(name)) throw this.#damaged(`it has tensor ${name} twice`);
      names.add(name);
      const end = offset + storedBytes(type, elements(shape));
      if (offset < free) throw this.#damaged(`tensor ${name} lies upon another`);
      if (end > this.#size) throw this.#damaged(`tensor ${name} ends at byte ${end} of ${this.#size}`);
      free = end;
    }
  }

  #tensor(): GgufTensor {
    const name = this.#string();
    const dimensions = this.#u32();
    if (dimensions > maxDimensions) throw this.#damaged(`tensor ${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => this.#u64()).reverse();
    const id = this.#u32();
    const type = tensorTypeNames.find(name => tensorTypes[name].id === id);
    if (!type) {
      throw new UserError(
        `${this.#path}: tensor ${name} has GGML type ${id}; supported: ${tensorTypeNames.join(', ')}`,
      );
    }
    if ((shape.at(-1) ?? 1) % tensorTypes[type].values !== 0)
      throw this.#damaged(`a row of ${name} is no whole blocks of ${type}`);
    return { name, shape, type, offset: this.#u64() };
  }

  #value(type: number, depth: number): MetadataValue {
    switch (type) {
      case valueTypes.u8:
        return this.#take(1).readUInt8();
      case valueTypes.i8:
        return this.#take(1).readInt8();
      case valueTypes.u16:
        return this.#take(2).readUInt16LE();
      case valueTypes.i16:
        return this.#take(2).readInt16LE();
      case valueTypes.u32:
        return this.#u32();
      case valueTypes.i32:
        return this.#take(4).readInt32LE();
      case valueTypes.f32:
        return this.#take(4).readFloatLE();
      case valueTypes.bool:
        return this.#take(1).readUInt8() !== 0;
      case valueTypes.string:
        return this.#string();
      case valueTypes.u64:
        return this.#u64();
      case valueTypes.i64:
        return Number(this.#take(8).readBigInt64LE());
      case valueTypes.f64:
        return this.#take(8).readDoubleLE();
      case valueTypes.array: {
        if (depth > 3) throw this.#damaged('its metadata is nested too deep');
        const itemType = this.#u32();
        return Array.from({ length: this.#count(1) }, () => this.#value(itemType, depth + 1));
      }
      default:
        throw this.#damaged(`its metadata has a value of type ${type}`);
    }
  }

  #string(): string {
    return this.#take(this.#u64()).toString('utf8');
  }

  #u32(): number {
    return this.#take(4).readUInt32LE();
  }

  #u64(): number {
    return Number(this.#take(8).readBigUInt64LE());
  }

  /** How many things follow that have `least` bytes or more each. */
  #count(least: number): number {
    const count = this.#u64();
    if (count * least > this.#size - this.#at)
      throw this.#damaged(`it speaks of ${count} entries, which cannot be in ${this.#size} bytes`);
    return count;
  }

  #take(bytes: number): Buffer {
    if (bytes > this.#size - this.#at) throw this.#damaged(`it ends after ${this.#size} bytes, within its header`);
    const from = this.#at - this.#windowStart;
    if (from + bytes > this.#window.length) {
      this.#window = Buffer.alloc(Math.min(Math.max(bytes, windowBytes), this.#size - this.#at));
      let filled = 0;
      while (filled < this.#window.length) {
        const read = readSync(this.#fd, this.#window, filled, this.#window.length - filled, this.#at + filled);
        if (read === 0) throw this.#damaged('it became shorter while it was read');
        filled += read;
      }
      this.#windowStart = this.#at;
    }
    const start = this.#at - this.#windowStart;
    this.#at += bytes;
    return this.#window.subarray(start, start + bytes);
  }

  #damaged(what: string): UserError {
    return new UserError(`${this.#path} is damaged: ${what}; download or copy it again`);
  }
}

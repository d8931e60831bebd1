import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { refuseOtherThanFile } from '../documents.ts';
import { UserError } from '../errors.ts';
import { refuseFullDisk, writeFileWhole } from '../files.ts';
import type { TensorTypeName } from '../gguf/tensorTypes.ts';
import { onPath } from '../systemErrors.ts';
import { bytesPerElement, type Dtype, fromBf16, fromF16, toBf16, toF16 } from './dtype.ts';

/**
 * The safetensors file format: 8 bytes of header length, a JSON header, then all tensors back to back, little-endian.
 * Files are larger than memory should be: tensors are read and written one by one, through a small buffer.
 */

/** A named tensor whose values are fetched only when they are needed: what a file gives and what a file is made of. */
export interface StoredTensor {
  name: string;
  /** How the values are stored in the file; in memory they are float32. */
  dtype: Dtype;
  shape: number[];
  /** In files that store them in blocks of few bits: those as they are. */
  blocks?: StoredBlocks;
  /** The values, in `into` where given: as long as the tensor has elements. */
  read(into?: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** The rows of a matrix, each of whole blocks. */
export interface StoredBlocks {
  type: TensorTypeName;
  /** Fills `into` with rows from `first` on. */
  readRows(first: number, into: Uint8Array): void;
}

const chunkBytes = 4 << 20;
/** The limit of the reference implementation. */
const maxHeaderBytes = 100_000_000;

const size = z.int().nonnegative();
const headerSchema = z
  .object({ __metadata__: z.record(z.string(), z.string()).optional() })
  .catchall(z.object({ dtype: z.string(), shape: z.array(size), data_offsets: z.tuple([size, size]) }));

/** An open file, of which only the header has been read. Tensors can be read until it is closed. */
export class SafetensorsFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly #fd: number;

  private constructor(fd: number, tensors: ReadonlyMap<string, StoredTensor>) {
    this.#fd = fd;
    this.tensors = tensors;
  }

  /** @throws UserError when the file is missing, damaged, or has a dtype other than F32, F16 and BF16. */
  static open(path: string): SafetensorsFile {
    refuseOtherThanFile(path);
    return onPath(path, () => {
      const fd = openSync(path, 'r');
      try {
        return new SafetensorsFile(fd, readHeader(fd, path));
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * Writes the tensors, asking each for its values only when its turn comes. Wider dtypes go first, as in files of the
 * reference implementation, so that every tensor is aligned to its element size.
 */
export function writeSafetensors(path: string, tensors: readonly StoredTensor[]): void {
  const ordered = tensors.toSorted((a, b) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape } of ordered) {
    const end = offset + elements(shape) * bytesPerElement[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  head.writeBigUInt64LE(BigInt(head.length - 8));
  json.copy(head, 8);

  refuseFullDisk(path, head.length + offset);
  writeFileWhole(path, fd => {
    writeFully(fd, head);
    for (const tensor of ordered) writeValues(fd, tensor);
  });
}

/** Number of elements of a shape; a scalar has one. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function readHeader(fd: number, path: string): Map<string, StoredTensor> {
  const fileBytes = fstatSync(fd).size;
  const damaged = (what: string) => new UserError(`${path} is damaged: ${what}; download or copy it again`);
  const cutShort = (expected: number) => damaged(`it has ${fileBytes} bytes of ${expected}`);

  if (fileBytes < 8) throw cutShort(8);
  const prefix = Buffer.alloc(8);
  readFully(fd, prefix, 0);
  const headerBytes = Number(prefix.readBigUInt64LE());
  if (headerBytes > maxHeaderBytes) throw damaged('it does not begin with a safetensors header');
  const dataStart = 8 + headerBytes;
  if (dataStart > fileBytes) throw cutShort(dataStart);

  const json = Buffer.alloc(headerBytes);
  readFully(fd, json, 8);
  const header = parseHeader(json, damaged);
  const entries = Object.entries(header).sort(([, a], [, b]) => {
    return a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1];
  });
  const tensors = new Map<string, StoredTensor>();
  let expected = 0;
  for (const [name, { dtype, shape, data_offsets: offsets }] of entries) {
    if (!isDtype(dtype)) {
      const supported = Object.keys(bytesPerElement).join(', ');
      throw new UserError(`${path}: tensor ${name} has dtype ${dtype}; supported: ${supported}`);
    }
    const [begin, end] = offsets;
    if (begin !== expected) throw damaged(`tensor ${name} begins at byte ${begin} of the data, not ${expected}`);
    const bytes = elements(shape) * bytesPerElement[dtype];
    if (end - begin !== bytes) {
      throw damaged(`tensor ${name} of shape [${shape}] has ${end - begin} bytes, not ${bytes}`);
    }
    expected = end;
    const read = (into = new Float32Array(elements(shape))) => {
      readValues(fd, dataStart + begin, dtype, into);
      return into;
    };
    tensors.set(name, { name, dtype, shape, read });
  }
  if (dataStart + expected > fileBytes) throw cutShort(dataStart + expected);
  if (dataStart + expected < fileBytes) {
    throw damaged(`it has ${fileBytes - dataStart - expected} bytes after its last tensor`);
  }
  return tensors;
}

function parseHeader(json: Buffer, damaged: (what: string) => UserError) {
  try {
    const { __metadata__: _, ...tensors } = headerSchema.parse(JSON.parse(json.toString('utf8')));
    return tensors;
  } catch {
    throw damaged('its header is not that of a safetensors file');
  }
}

function isDtype(name: string): name is Dtype {
  return Object.hasOwn(bytesPerElement, name);
}

function readValues(fd: number, position: number, dtype: Dtype, into: Float32Array<ArrayBuffer>): void {
  if (dtype === 'F32') {
    readFully(fd, bytesOf(into), position);
    return;
  }
  const convert = dtype === 'BF16' ? fromBf16 : fromF16;
  const bits = bitsOf(into);
  const chunk = new Uint16Array(Math.min(chunkBytes / 2, bits.length));
  for (let done = 0; done < bits.length; done += chunk.length) {
    const part = chunk.subarray(0, bits.length - done);
    readFully(fd, bytesOf(part), position + done * 2);
    convert(part, bits.subarray(done, done + part.length));
  }
}

/** Appends a tensor's values to a file, in the tensor's dtype. */
export function writeValues(fd: number, tensor: StoredTensor): void {
  const { name, dtype, shape } = tensor;
  const values = tensor.read();
  if (values.length !== elements(shape)) {
    throw new Error(`tensor ${name} of shape [${shape}] was given ${values.length} values`);
  }
  if (dtype === 'F32') {
    writeFully(fd, bytesOf(values));
    return;
  }
  const convert = dtype === 'BF16' ? toBf16 : toF16;
  const bits = bitsOf(values);
  const narrow = new Uint16Array(chunkBytes / 2);
  for (let done = 0; done < bits.length; done += narrow.length) {
    const part = bits.subarray(done, done + narrow.length);
    convert(part, narrow);
    writeFully(fd, bytesOf(narrow.subarray(0, part.length)));
  }
}

/** The same memory as float32 bits: numbers would lose what a NaN carries. */
function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function bytesOf(values: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** One call of the system moves less than 2 GiB, and may move less than asked. */
const maxCallBytes = 1 << 30;

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const read = readSync(fd, into, done, Math.min(maxCallBytes, into.length - done), position + done);
    if (read === 0) throw new UserError('a checkpoint file became shorter while it was read');
    done += read;
  }
}

function writeFully(fd: number, from: Uint8Array): void {
  for (let done = 0; done < from.length; ) {
    done += writeSync(fd, from, done, Math.min(maxCallBytes, from.length - done));
  }
}

import { writeSync } from 'node:fs';
import { refuseFullDisk, writeFileInParts } from '../files.ts';
import { elements } from '../model/safetensors.ts';
import { storedBytes, type TensorTypeName, tensorTypes } from './tensorTypes.ts';

/**
 * GGUF, the one-file format of llama.cpp: metadata (the model's shape and its tokenizer), a table of tensors, then their data,
 * everything little-endian. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

const alignment = 32;
const version = 3;

export type Metadata = [key: string, type: 'u32' | 'f32' | 'bool' | 'string' | 'strings' | 'i32s', value: unknown][];

export interface TensorToWrite {
  name: string;
  /** Row-major, as elsewhere here: the file has it the other way round. */
  shape: number[];
  type: TensorTypeName;
  /** Writes its values, as `type` stores them, where the file stands. */
  write(fd: number): void;
}

export interface WriteControl {
  /** Told how many of the bytes of all values are written. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Where it fires, nothing is left of the file. */
  signal?: AbortSignal;
}

/** Writes a file as a whole, under another name first. Throws the reason of `signal`. */
export async function writeGgufFile(
  path: string,
  metadata: Metadata,
  tensors: readonly TensorToWrite[],
  { onProgress, signal }: WriteControl = {},
): Promise<void> {
  const total = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  refuseFullDisk(path, total);
  let done = 0;
  const writeTensor = (tensor: TensorToWrite) => (fd: number) => {
    tensor.write(fd);
    writeSync(fd, new Uint8Array(padding(byteLength(tensor))));
    done += byteLength(tensor);
    onProgress?.(done, total);
  };
  const parts = [(fd: number) => void writeSync(fd, header(metadata, tensors)), ...tensors.map(writeTensor)];
  await writeFileInParts(path, parts, signal);
}

function header(metadata: Metadata, tensors: readonly TensorToWrite[]): Buffer {
  const parts: Buffer[] = [Buffer.from('GGUF'), u32(version), u64(tensors.length), u64(metadata.length)];
  for (const [key, type, value] of metadata) parts.push(text(key), typed(type, value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    parts.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(tensorTypes[type].id), u64(offset));
    offset += byteLength(tensor) + padding(byteLength(tensor));
  }
  const head = Buffer.concat(parts);
  return Buffer.concat([head, Buffer.alloc(padding(head.length))]);
}

function typed(type: Metadata[number][1], value: unknown): Buffer {
  switch (type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value as number)]);
    case 'f32': {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value as number);
      return Buffer.concat([u32(6), bytes]);
    }
    case 'bool':
      return Buffer.concat([u32(7), Buffer.from([value ? 1 : 0])]);
    case 'string':
      return Buffer.concat([u32(8), text(value as string)]);
    case 'strings': {
      const list = value as string[];
      return Buffer.concat([u32(9), u32(8), u64(list.length), ...list.map(text)]);
    }
    case 'i32s': {
      const list = value as number[];
      return Buffer.concat([u32(9), u32(5), u64(list.length), Buffer.from(Int32Array.from(list).buffer)]);
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function byteLength({ shape, type }: TensorToWrite): number {
  return storedBytes(type, elements(shape));
}

/** Bytes that are missing to a multiple of the alignment. */
function padding(length: number): number {
  return (alignment - (length % alignment)) % alignment;
}

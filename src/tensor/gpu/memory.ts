import type { Id } from '../device.ts';
import { GpuBuffers, wholeWords } from './buffers.ts';
import type { Gpu } from './gpu.ts';
import { type Groups, paramsOf, type Shader } from './shader.ts';

type Numbers = Float32Array | Int32Array;

const bytesOf = { f32: 4, i32: 4, bf16: 2 } as const;

/** A run of memory that tensors share. */
interface Storage {
  bytes: number;
  /** There is none before it is needed. */
  buffer?: number;
  /** What was written, where that is little: kernels are cut by it, and it is uploaded once one computes with it. */
  host?: Numbers;
  isUploaded: boolean;
  users: number;
  /** The same numbers in bf16, where products take them so, and whose they are. */
  rounded?: Storage;
  masters?: Storage;
}

export interface GpuTensor {
  storage: Storage;
  /** Its first element in the storage. */
  offset: number;
  dtype: keyof typeof bytesOf;
  shape: readonly number[];
  /** Of a packed weight, which lies in memory as it is: rows that the LM head takes together, and for which direction it is. */
  chunkRows?: number;
  isBackward?: boolean;
}

/** Some elements of a tensor. */
export interface Slice {
  tensor: GpuTensor;
  first: number;
  count: number;
}

const mostHostElements = 1 << 20;

/** The tensors of one thread by number, their buffers, and kernels that run on them. */
export class GpuMemory {
  readonly gpu: Gpu;
  readonly #tensors = new Map<Id, GpuTensor>();
  readonly #buffers: GpuBuffers;
  readonly #shaders = new Map<string, number>();
  #lastId = 0;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.#buffers = new GpuBuffers(gpu);
  }

  /** Its contents are undefined. */
  allocate(dtype: string, shape: readonly number[]): Id {
    const kind = dtype as GpuTensor['dtype'];
    const storage = newStorage(this.#buffers.sizeFor(bytesOf[kind] * Math.max(1, elementsOf(shape))));
    return this.#add({ storage, offset: 0, dtype: kind, shape: [...shape] });
  }

  view(id: Id, offset: number, shape: readonly number[]): Id {
    const tensor = this.get(id);
    return this.#add({ ...tensor, offset: tensor.offset + offset, shape: [...shape] });
  }

  /** The same memory as the operand of products. */
  pack(tensor: GpuTensor, isBackward: boolean, chunkRows: number): Id {
    return this.#add({ ...tensor, isBackward, chunkRows });
  }

  /** The place of a tensor's numbers in bf16, which all tensors have that share its memory; it is there as long as something is in it. */
  rounded(tensor: GpuTensor): GpuTensor {
    const { storage } = tensor;
    storage.rounded ??= { ...newStorage(this.#buffers.sizeFor(storage.bytes / 2)), masters: storage };
    return { ...tensor, storage: storage.rounded, dtype: 'bf16' };
  }

  release(id: Id): void {
    const tensor = this.#tensors.get(id);
    if (!tensor) return;
    this.#tensors.delete(id);
    const { storage } = tensor;
    if (--storage.users > 0) return;
    if (storage.masters) storage.masters.rounded = undefined;
    if (storage.buffer !== undefined) this.#buffers.giveBack(storage.bytes, storage.buffer);
  }

  trim(): void {
    this.#buffers.trim();
  }

  get(id: Id): GpuTensor {
    const tensor = this.#tensors.get(id);
    if (!tensor) throw new Error(`${id} is not a live tensor of the GPU (freed, or of another device?)`);
    return tensor;
  }

  /** For as long as `work` takes. */
  temporary<T>(shape: readonly number[], work: (tensor: GpuTensor) => T): T {
    const id = this.allocate('f32', shape);
    try {
      return work(this.get(id));
    } finally {
      this.release(id);
    }
  }

  /** The same of whole numbers that are there. */
  withInts<T>(values: Int32Array, work: (tensor: GpuTensor) => T): T {
    const id = this.allocate('i32', [values.length]);
    try {
      this.write(this.get(id), values);
      return work(this.get(id));
    } finally {
      this.release(id);
    }
  }

  /** @param data as many numbers as the tensor has */
  write(tensor: GpuTensor, data: Numbers): void {
    const { storage, offset } = tensor;
    const copy = data.slice();
    if (offset === 0 && storage.users === 1 && data.length <= mostHostElements) {
      storage.host = copy;
      storage.isUploaded = false;
      return;
    }
    const buffer = this.#bufferOf(storage);
    storage.host = undefined;
    this.#upload(buffer, offset, copy);
  }

  /** A copy. Waits for all that was computed before. */
  read(tensor: GpuTensor): Numbers {
    const { storage, offset, dtype, shape } = tensor;
    const count = elementsOf(shape);
    if (storage.host) return storage.host.slice(offset, offset + count);
    const Kind = dtype === 'f32' ? Float32Array : Int32Array;
    if (count === 0) return new Kind(0);
    return new Kind(this.gpu.read([{ buffer: this.#bufferOf(storage), offset: 4 * offset, bytes: 4 * count }]));
  }

  /** Waits once for several small tensors, which are read without waiting then. None may be a part of another. */
  fetch(...tensors: GpuTensor[]): void {
    const parts = tensors.map(({ storage, shape }) => ({
      buffer: this.#bufferOf(storage),
      offset: 0,
      bytes: 4 * elementsOf(shape),
    }));
    const all = this.gpu.read(parts.filter(({ bytes }) => bytes > 0));
    let begin = 0;
    tensors.forEach(({ storage, dtype }, i) => {
      const Kind = dtype === 'f32' ? Float32Array : Int32Array;
      storage.host = new Kind(all, begin, parts[i].bytes / 4);
      storage.isUploaded = true;
      begin += parts[i].bytes;
    });
  }

  /** What was written into a small tensor, without waiting. */
  intsOf(tensor: GpuTensor): Int32Array {
    const { host } = tensor.storage;
    return (host?.slice(tensor.offset, tensor.offset + elementsOf(tensor.shape)) ?? this.read(tensor)) as Int32Array;
  }

  zero(tensor: GpuTensor): void {
    const { storage, offset, dtype, shape } = tensor;
    const each = bytesOf[dtype];
    const bytes = wholeWords(each * elementsOf(shape));
    const buffer = this.#bufferOf(storage);
    storage.host = undefined;
    if (bytes > 0) this.gpu.send({ kind: 'clear', buffer, offset: each * offset, bytes });
  }

  /** So many elements, from these on; not within one storage. */
  copy(to: Slice, from: Slice): void {
    const part = ({ tensor, first, count }: Slice) => ({
      buffer: this.#bufferOf(tensor.storage),
      offset: bytesOf[tensor.dtype] * (tensor.offset + first),
      bytes: wholeWords(bytesOf[tensor.dtype] * count),
    });
    const parts = { from: part(from), to: part(to) };
    to.tensor.storage.host = undefined;
    if (to.count > 0) this.gpu.send({ kind: 'copy', ...parts });
  }

  /** A tensor in parts that can be bound. */
  inParts(tensor: GpuTensor): Slice[] {
    const count = elementsOf(tensor.shape);
    const rows = this.rowsInParts({ ...tensor, shape: [count, 1] });
    return rows.map(({ slice: { first, count } }) => ({ tensor, first, count }));
  }

  /** The rows of a matrix in parts that can be bound. @param widest elements that are bound for a row, where these are more */
  rowsInParts(tensor: GpuTensor, widest = tensor.shape[1]): { first: number; end: number; slice: Slice }[] {
    const [rows, width] = tensor.shape;
    const { largestBinding, bindingAlignment } = this.gpu.info;
    const most = Math.max(1, Math.floor((largestBinding - bindingAlignment) / (bytesOf[tensor.dtype] * widest)));
    return Array.from({ length: Math.ceil(rows / most) }, (_, part) => {
      const [first, end] = [part * most, Math.min((part + 1) * most, rows)];
      return { first, end, slice: { tensor, first: first * width, count: (end - first) * width } };
    });
  }

  /** Runs a kernel. `tensors` and `params` have the names that it gives them. */
  run(
    shader: Shader,
    tensors: Record<string, GpuTensor | Slice>,
    params: Record<string, number>,
    groups: Groups,
  ): void {
    if (groups.includes(0)) return;
    const { bindingAlignment, largestBinding } = this.gpu.info;
    const begins: number[] = [];
    const parts = shader.tensors.map(([name, access]) => {
      const given = tensors[name];
      const { tensor, first, count } = 'tensor' in given ? given : whole(given);
      const buffer = this.#bufferOf(tensor.storage);
      if (access === 'write') tensor.storage.host = undefined;
      const each = bytesOf[tensor.dtype];
      const begin = each * (tensor.offset + first);
      const offset = begin - (begin % bindingAlignment);
      begins.push((begin - offset) / each);
      const bytes = wholeWords(begin - offset + each * Math.max(1, count));
      if (bytes > largestBinding) throw new Error(`${shader.name}: ${name} is larger than this GPU takes at a time`);
      return { buffer, offset, bytes };
    });
    this.gpu.send({
      kind: 'run',
      shader: this.#shaderOf(shader),
      parts,
      params: [...begins, ...paramsOf(shader, params)],
      groups,
    });
  }

  #add(tensor: GpuTensor): Id {
    tensor.storage.users++;
    this.#tensors.set(++this.#lastId, tensor);
    return this.#lastId;
  }

  #bufferOf(storage: Storage): number {
    storage.buffer ??= this.#buffers.take(storage.bytes);
    if (storage.host && !storage.isUploaded) {
      this.#upload(storage.buffer, 0, storage.host.slice());
      storage.isUploaded = true;
    }
    return storage.buffer;
  }

  #upload(buffer: number, offset: number, data: Numbers): void {
    if (data.length === 0) return;
    this.gpu.send({ kind: 'write', buffer, offset: 4 * offset, data: new Uint8Array(data.buffer as ArrayBuffer) });
  }

  #shaderOf({ name, source, tensors }: Shader): number {
    const known = this.#shaders.get(source);
    if (known !== undefined) return known;
    const shader = this.#shaders.size;
    this.#shaders.set(source, shader);
    this.gpu.send({ kind: 'shader', shader, name, source, access: tensors.map(([, access]) => access) });
    return shader;
  }
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function newStorage(bytes: number): Storage {
  return { bytes, users: 0, isUploaded: false };
}

function whole(tensor: GpuTensor): Slice {
  return { tensor, first: 0, count: elementsOf(tensor.shape) };
}

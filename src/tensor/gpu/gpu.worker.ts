import { workerData } from 'node:worker_threads';
import { type Answer, type Batch, type Command, type GpuInfo, type GpuThreadData, paramsBytes } from './commands.ts';

/** The GPU's thread: it owns the device, and its buffers and shaders by number. */
const { port, signal } = workerData as GpuThreadData;

const bufferUse = { mapRead: 0x1, copyFrom: 0x4, copyTo: 0x8, uniform: 0x40, storage: 0x80 };
const computeStage = 0x4;
const mapForReading = 0x1;
/** Asked for from the last: full memory comes before what follows from it. */
const errorKinds = ['validation', 'internal', 'out-of-memory'] as const;
const mostCachedBindings = 20_000;

/** The first thing that went wrong: what comes after it is worth nothing. */
let failure: string | undefined;
let executor: Executor | undefined;
/** Dawn itself, which must not be collected while anything is computed. */
let dawn: GPU;

port.on('message', async (batch: Batch) => {
  if (batch.isLast) {
    executor?.close();
    port.close();
    return;
  }
  if (!executor) {
    await answer(open);
    return;
  }
  executor.run(batch.commands);
  const { read } = batch;
  if (read) await answer(() => executor!.read(read));
});

async function answer<T>(work: () => Promise<T>): Promise<void> {
  let message: Answer<T>;
  try {
    message = { value: await work() };
  } catch (error) {
    failure ??= (error as Error).message;
    message = { error: failure };
  }
  port.postMessage(message, 'value' in message && message.value instanceof ArrayBuffer ? [message.value] : []);
  Atomics.add(signal, 0, 1);
  Atomics.notify(signal, 0);
}

async function open(): Promise<GpuInfo> {
  const webgpu = await import('webgpu').catch(() => {
    throw new Error('the package webgpu is not installed: npm install webgpu');
  });
  dawn = webgpu.create([]);
  const adapter = await dawn.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('there is none, or its driver for Vulkan, Metal or Direct3D 12 is missing');
  const { limits, info, features } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    },
  });
  device.lost.then(({ reason, message }) => {
    failure ??= `it was lost (${message || reason})`;
  });
  device.onuncapturederror = ({ error }) => fail(error);
  executor = new Executor(device);
  return {
    name: info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(' '),
    isSoftware: info.isFallbackAdapter,
    features: [...features].sort(),
    largestBuffer: limits.maxBufferSize,
    largestBinding: limits.maxStorageBufferBindingSize,
    bindingAlignment: limits.minStorageBufferOffsetAlignment,
    workgroupMemory: limits.maxComputeWorkgroupStorageSize,
  };
}

function fail(error: GPUError): void {
  const isFull = error.constructor.name === 'GPUOutOfMemoryError';
  failure ??= isFull ? `it has no memory left (${error.message.split('\n')[0]})` : error.message;
}

interface Pipeline {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
}

class Executor {
  readonly #device: GPUDevice;
  readonly #buffers = new Map<number, GPUBuffer>();
  readonly #pipelines = new Map<number, Pipeline>();
  /** By shader and parts: passes of the same shape bind the same. */
  readonly #bindings = new Map<string, GPUBindGroup>();
  /** The numbers of all kernels that are submitted together. */
  #params: GPUBuffer;
  readonly #pending: number[][] = [];
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #staging: GPUBuffer | undefined;
  /** Until it is known what went wrong so far. */
  #checked: Promise<unknown> = Promise.resolve();

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#params = this.#newParams(1024);
  }

  run(commands: readonly Command[]): void {
    this.#checking(() => {
      for (const command of commands) if (!failure) this.#do(command);
      this.#submit();
    });
  }

  async read(parts: NonNullable<Batch['read']>): Promise<ArrayBuffer> {
    const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    await this.#refuseFailure();
    if (size === 0) {
      await this.#device.queue.onSubmittedWorkDone();
      if (failure) throw new Error(failure);
      return new ArrayBuffer(0);
    }
    this.#checking(() => {
      if (!this.#staging || this.#staging.size < size) {
        this.#staging?.destroy();
        this.#staging = this.#device.createBuffer({ size, usage: bufferUse.mapRead | bufferUse.copyTo });
      }
      const encoder = this.#device.createCommandEncoder();
      let begin = 0;
      for (const { buffer, offset, bytes } of parts) {
        encoder.copyBufferToBuffer(this.#buffers.get(buffer)!, offset, this.#staging, begin, bytes);
        begin += bytes;
      }
      this.#device.queue.submit([encoder.finish()]);
    });
    await this.#refuseFailure();
    const staging = this.#staging!;
    await staging.mapAsync(mapForReading, 0, size);
    const copy = staging.getMappedRange(0, size).slice(0);
    staging.unmap();
    if (failure) throw new Error(failure);
    return copy;
  }

  close(): void {
    this.#device.destroy();
  }

  /** What goes wrong in `work` is kept here: Dawn prints what nobody asks for. */
  #checking(work: () => void): void {
    for (const kind of errorKinds) this.#device.pushErrorScope(kind);
    try {
      work();
    } catch (error) {
      failure ??= (error as Error).message;
    }
    const found = errorKinds.map(() => this.#device.popErrorScope().then(error => error && fail(error)));
    this.#checked = Promise.allSettled([this.#checked, ...found]);
  }

  async #refuseFailure(): Promise<void> {
    await this.#checked;
    if (failure) throw new Error(failure);
  }

  #do(command: Command): void {
    switch (command.kind) {
      case 'allocate': {
        const usage = bufferUse.storage | bufferUse.copyFrom | bufferUse.copyTo;
        this.#buffers.set(command.buffer, this.#device.createBuffer({ size: command.bytes, usage }));
        return;
      }
      case 'destroy':
        this.#submit();
        this.#bindings.clear();
        this.#buffers.get(command.buffer)!.destroy();
        this.#buffers.delete(command.buffer);
        return;
      case 'write':
        this.#submit();
        this.#device.queue.writeBuffer(this.#buffers.get(command.buffer)!, command.offset, command.data);
        return;
      case 'clear':
        this.#copying().clearBuffer(this.#buffers.get(command.buffer)!, command.offset, command.bytes);
        return;
      case 'copy': {
        const [from, to] = [command.from, command.to].map(({ buffer }) => this.#buffers.get(buffer)!);
        this.#copying().copyBufferToBuffer(from, command.from.offset, to, command.to.offset, command.to.bytes);
        return;
      }
      case 'shader':
        this.#pipelines.set(command.shader, this.#compiled(command));
        return;
      case 'run':
        this.#dispatch(command);
    }
  }

  #compiled({ name, source, access }: Extract<Command, { kind: 'shader' }>): Pipeline {
    const storage = access.map((access, i) => ({
      binding: i + 1,
      visibility: computeStage,
      buffer: { type: access === 'write' ? ('storage' as const) : ('read-only-storage' as const) },
    }));
    const uniform = { binding: 0, visibility: computeStage, buffer: { hasDynamicOffset: true } };
    const layout = this.#device.createBindGroupLayout({ entries: [uniform, ...storage] });
    const pipeline = this.#device.createComputePipeline({
      label: name,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: this.#device.createShaderModule({ label: name, code: source }) },
    });
    return { pipeline, layout };
  }

  #dispatch(command: Extract<Command, { kind: 'run' }>): void {
    const { shader, params, groups } = command;
    if ((this.#pending.length + 1) * paramsBytes > this.#params.size) this.#growParams();
    const { pipeline } = this.#pipelines.get(shader)!;
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, this.#bound(command), [this.#pending.length * paramsBytes]);
    this.#pass.dispatchWorkgroups(...groups);
    this.#pending.push(params);
  }

  #bound({ shader, parts }: Extract<Command, { kind: 'run' }>): GPUBindGroup {
    const key = `${shader},${parts.map(({ buffer, offset, bytes }) => `${buffer},${offset},${bytes}`)}`;
    const known = this.#bindings.get(key);
    if (known) return known;
    const storage = parts.map(({ buffer, offset, bytes }, i) => ({
      binding: i + 1,
      resource: { buffer: this.#buffers.get(buffer)!, offset, size: bytes },
    }));
    const uniform = { binding: 0, resource: { buffer: this.#params, size: paramsBytes } };
    const { layout } = this.#pipelines.get(shader)!;
    const bound = this.#device.createBindGroup({ layout, entries: [uniform, ...storage] });
    if (this.#bindings.size >= mostCachedBindings) this.#bindings.clear();
    this.#bindings.set(key, bound);
    return bound;
  }

  /** For commands between kernels. */
  #copying(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }

  #submit(): void {
    if (!this.#encoder) return;
    const commands = this.#copying().finish();
    this.#encoder = undefined;
    const all = new Uint32Array((this.#pending.length * paramsBytes) / 4);
    this.#pending.splice(0).forEach((params, i) => {
      all.set(params, (i * paramsBytes) / 4);
    });
    this.#device.queue.writeBuffer(this.#params, 0, all);
    this.#device.queue.submit([commands]);
  }

  #growParams(): void {
    this.#submit();
    const { size } = this.#params;
    this.#params.destroy();
    this.#bindings.clear();
    this.#params = this.#newParams((2 * size) / paramsBytes);
  }

  #newParams(kernels: number): GPUBuffer {
    return this.#device.createBuffer({ size: kernels * paramsBytes, usage: bufferUse.uniform | bufferUse.copyTo });
  }
}

import { once } from 'node:events';
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { SystemRefusal } from '../../systemErrors.ts';
import { startWorker } from '../../worker.ts';
import type { Answer, Batch, Command, GpuInfo, Part } from './commands.ts';
import { defaultTiles } from './tiles.ts';

/** Commands that travel together, and bytes that may be on their way before this thread waits for the GPU's. */
const batchCommands = 512;
const batchBytes = 64 << 20;
export const bytesUnderWay = 512 << 20;
/** Longest time in which the GPU's thread finds a GPU. */
const startMs = 60_000;

/** A GPU, by way of a thread of its own: commands are collected, sent in order, and waited for where something is read. */
export class Gpu {
  readonly info: GpuInfo;
  /** Those of products; others give the same bits. */
  tiles = defaultTiles;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  #commands: Command[] = [];
  #isClosed = false;
  /** Written, and not sent yet; sent since the GPU's thread was last waited for. */
  #bytes = 0;
  #bytesSent = 0;

  private constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = startWorker(new URL('./gpu.worker.ts', import.meta.url), {
      workerData: { port: port2, signal: this.#signal },
      transferList: [port2],
    });
    this.#worker.unref();
    port1.unref();
    this.info = this.#ask<GpuInfo>({ commands: [] }, startMs);
  }

  /** The machine's fastest GPU. @throws SystemRefusal where there is none that can be used */
  static open(): Gpu {
    return new Gpu();
  }

  send(command: Command): void {
    this.#commands.push(command);
    if (command.kind === 'write') this.#bytes += command.data.byteLength;
    if (this.#commands.length >= batchCommands || this.#bytes >= batchBytes) this.flush();
  }

  /** The bytes of all parts, one behind another, once all that was sent before is done. @throws SystemRefusal where something of it went wrong */
  read(parts: Part[]): ArrayBuffer {
    const commands = this.#taken();
    this.#bytesSent = 0;
    return this.#ask({ commands, read: parts });
  }

  /** Lets go of it. Its thread ends by itself: one that is stopped while it waits for the GPU would take the process with it. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#worker.ref();
    const ended = once(this.#worker, 'exit');
    this.#post({ commands: [], isLast: true });
    await ended;
  }

  /** What was sent goes to the GPU now. */
  flush(): void {
    const bytes = this.#bytes;
    const commands = this.#taken();
    this.#bytesSent += bytes;
    if (this.#bytesSent < bytesUnderWay) {
      this.#post({ commands });
      return;
    }
    this.#bytesSent = 0;
    this.#ask({ commands, read: [] });
  }

  #taken(): Command[] {
    this.#bytes = 0;
    return this.#commands.splice(0);
  }

  #post(batch: Batch): void {
    const written = batch.commands.flatMap(command => (command.kind === 'write' ? [command.data.buffer] : []));
    this.#port.postMessage(batch, written as ArrayBuffer[]);
  }

  #ask<T>(batch: Batch, timeoutMs?: number): T {
    if (this.#isClosed) throw unusable('it was closed');
    const before = this.#signal[0];
    this.#post(batch);
    if (Atomics.wait(this.#signal, 0, before, timeoutMs) === 'timed-out') throw unusable('it does not answer');
    const { message } = receiveMessageOnPort(this.#port) as { message: Answer<T> };
    if ('error' in message) throw unusable(message.error);
    return message.value;
  }
}

function unusable(reason: string): SystemRefusal {
  return new SystemRefusal(
    `the GPU cannot be used: ${reason.replace(/\s+/g, ' ').trim()}; go on with engine.device: cpu, or where it was saved last by --resume`,
  );
}

import type { MessagePort } from 'node:worker_threads';

/**
 * What the GPU's thread is told to do. Whoever computes waits for results where it needs them, as for those of the CPU; WebGPU gives
 * results only to who returns to the event loop, which is what that thread is for.
 */
export type Command =
  | { kind: 'allocate'; buffer: number; bytes: number }
  | { kind: 'destroy'; buffer: number }
  | { kind: 'write'; buffer: number; offset: number; data: Uint8Array }
  | { kind: 'clear'; buffer: number; offset: number; bytes: number }
  | { kind: 'copy'; from: Part; to: Part }
  | { kind: 'shader'; shader: number; name: string; source: string; access: ('read' | 'write')[] }
  | { kind: 'run'; shader: number; parts: Part[]; params: number[]; groups: [number, number, number] };

/** Bytes of a buffer. */
export interface Part {
  buffer: number;
  offset: number;
  bytes: number;
}

/** Only a message with `read` is answered: with the bytes, one part behind another, once all is done, or with why there are none. */
export interface Batch {
  commands: Command[];
  read?: Part[];
  /** The last one: the thread lets go of the GPU and ends. */
  isLast?: boolean;
}

export type Answer<T> = { value: T } | { error: string };

/** Bytes that each kernel's numbers take at most: the alignment of where they begin. */
export const paramsBytes = 256;

/** What a GPU is and takes, in bytes where nothing else is said. */
export interface GpuInfo {
  name: string;
  /** Whether a program computes in its place. */
  isSoftware: boolean;
  features: string[];
  largestBuffer: number;
  largestBinding: number;
  bindingAlignment: number;
  workgroupMemory: number;
}

export interface GpuThreadData {
  port: MessagePort;
  /** Its first number is raised with every answer. */
  signal: Int32Array;
}

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Metrics } from '../train/runDirectory.ts';

/** Reads a run's `metrics.jsonl` as it grows: what is told of an iteration later is one line with it, and a torn line is none yet. */
export class MetricsTail {
  lines: readonly Metrics[] = [];
  readonly #path: string;
  /** Which file was read, and how far: to the end of its last whole line. */
  #file = '';
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Brings `lines` up to date. Lines that are as they were stay the same objects. */
  refresh(): void {
    const { ino, birthtimeMs, size = 0 } = statSync(this.#path, { throwIfNoEntry: false }) ?? {};
    const file = `${ino} ${birthtimeMs}`; // a number is given again
    if (file !== this.#file || size < this.#offset) {
      if (this.lines.length > 0) this.lines = [];
      [this.#file, this.#offset] = [file, 0];
    }
    if (size === this.#offset) return;
    const text = this.#read(size);
    if (!text) return;
    const lines = [...this.lines];
    for (const line of text.split('\n')) add(lines, line);
    this.lines = lines;
  }

  /** Whole lines from where the last ones ended. */
  #read(size: number): string {
    const file = openSync(this.#path, 'r');
    try {
      const buffer = Buffer.alloc(size - this.#offset);
      const bytes = readSync(file, buffer, 0, buffer.length, this.#offset);
      const whole = buffer.subarray(0, bytes).lastIndexOf('\n') + 1;
      this.#offset += whole;
      return buffer.toString('utf8', 0, whole);
    } finally {
      closeSync(file);
    }
  }
}

/** A damaged line is left out: others watch over what a run reads of itself. */
function add(lines: Metrics[], text: string): void {
  const line = parsed(text);
  if (!line) return;
  const last = lines.at(-1);
  if (last?.iteration === line.iteration) lines[lines.length - 1] = { ...last, ...line };
  else lines.push(line);
}

function parsed(text: string): Metrics | undefined {
  try {
    const line = JSON.parse(text);
    return typeof line?.iteration === 'number' && typeof line.update === 'number' ? line : undefined;
  } catch {
    return undefined;
  }
}

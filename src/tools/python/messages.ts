import type { PythonPackages } from '../packages/store.ts';

/** How code ended, as the interpreter says; only who watches its time knows whether it was `stopped`. */
export type Ending = 'ok' | 'exception' | 'stopped';

export interface Ended {
  ending: Ending;
  output: string;
}

export interface InterpreterLimits {
  memoryBytes: number;
  /** Most bytes kept of sessions that are not running, files included; beyond it the longest unused ones are forgotten. */
  savedBytes: number;
  maxOutputChars: number;
  /** Most time of one cell or program. */
  timeoutMs: number;
}

/** A cell that ran, and how it ended. */
export interface PastCell {
  source: string;
  ending: Ending;
}

/** What an interpreter can run: the next cell of a session, or a whole program with what it reads from standard input. */
export type Work =
  /** `history`: the session's earlier cells, run first if the interpreter does not have the session. */
  | { kind: 'cell'; session: number; source: string; history: PastCell[] }
  | { kind: 'program'; source: string; input: string };

/** What the pool tells an interpreter's thread. */
export type Request = Work | { kind: 'drop'; session: number };

/** What the thread answers: once `ready`, then `done` to each work, after a `turn` where it replays: one for each cell. */
export type Reply =
  /** `thread` is its `ownThread`. */
  | { kind: 'ready'; thread: number | undefined }
  /** A cell begins, the thread having slept so long; `replaying` is its place in the history, absent for the cell that was asked for. */
  | { kind: 'turn'; sleptMs: number; replaying?: number }
  /** `lost`: places in the history of what could not be replayed, or ended otherwise than the first time. */
  | { kind: 'done'; ending: Ending; output: string; lost: number[] }
  /** The interpreter is broken; the thread ends. */
  | { kind: 'crashed'; reason: string };

/** `control` is the buffer of one. */
export type WorkerData = InterpreterLimits & { packages: PythonPackages; control: SharedArrayBuffer };

/** How a time-out is worded. */
export function timeoutText(timeoutMs: number): string {
  return `the code ran for more than ${timeoutMs / 1000} s and was stopped`;
}

import type { InterpreterOptions, Outcome } from './interpreter.ts';

/** What the pool tells an interpreter's thread. */
export type Request =
  /** `history`: the session's earlier cells, run again first if the interpreter does not have the session. */
  { kind: 'run'; session: number; source: string; history: string[] } | { kind: 'drop'; session: number };

/** What the thread answers: once `ready`, then `done` to each `run`, after a `turn` where it replays: one for each cell. */
export type Reply =
  | { kind: 'ready' }
  /** A cell begins; `replaying` is its place in the history, absent for the cell that was asked for. */
  | { kind: 'turn'; replaying?: number }
  | { kind: 'done'; outcome: Outcome; output: string }
  /** The interpreter is broken; the thread ends. */
  | { kind: 'crashed'; reason: string };

export type WorkerData = InterpreterOptions;

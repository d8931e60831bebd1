import type { InterpreterOptions, Outcome } from './interpreter.ts';

/** What an interpreter can run: the next cell of a session, or a whole program with what it reads from standard input. */
export type Work =
  /** `history`: the session's earlier cells, run first if the interpreter does not have the session. */
  | { kind: 'cell'; session: number; source: string; history: string[] }
  | { kind: 'program'; source: string; input: string };

/** What the pool tells an interpreter's thread. */
export type Request = Work | { kind: 'drop'; session: number };

/** What the thread answers: once `ready`, then `done` to each work, after a `turn` where it replays: one for each cell. */
export type Reply =
  | { kind: 'ready' }
  /** A cell begins; `replaying` is its place in the history, absent for the cell that was asked for. */
  | { kind: 'turn'; replaying?: number }
  | { kind: 'done'; outcome: Outcome; output: string }
  /** The interpreter is broken; the thread ends. */
  | { kind: 'crashed'; reason: string };

export type WorkerData = InterpreterOptions;

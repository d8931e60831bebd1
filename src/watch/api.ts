/** What the page of `sod watch` and its server say to each other: JSON over HTTP, and server-sent events. */
import type { Pattern } from '../methods/diagnostics.ts';
import type { Message } from '../text/message.ts';
import type { Metrics } from '../train/runDirectory.ts';
import type { KeptTrajectory, TrajectoryEntry } from '../train/trajectoryFile.ts';

/** A training run in one of the folders that are watched. */
export interface RunSummary {
  /** Names the run in addresses. */
  id: string;
  /** Its folder, from the folder that was given. */
  name: string;
  method: string;
  /** `unreadable`: `problem` says why. */
  state: 'running' | 'stopped' | 'finished' | 'unreadable';
  problem?: string;
  iteration: number;
  iterations: number;
  /** When something of it changed last, in milliseconds since 1970. */
  changed: number;
  /** Of what it needs at its pace of late; of a run under way. */
  secondsLeft?: number;
  /** Share of right answers: of the last evaluation, else of the last iteration. */
  accuracy?: number;
  /** What its small curve shows: a metric by name, and at most 60 values of it. */
  curve: { metric: string; values: number[] };
  /** Iterations whose trajectories can be looked at. */
  trajectories: number;
  /** Folders of it that hold a model to talk to: `final`, `best`, checkpoints. */
  models: string[];
}

/** `GET /api/runs` */
export interface Runs {
  runs: readonly RunSummary[];
  tables: readonly Table[];
}

/** What a comparison, a demo or an evaluation among the folders came to, as its file has it. */
export interface Table {
  name: string;
  table: unknown;
}

/**
 * `GET /api/events?run=…&run=…`: what changes. `metrics` are the lines of a run from the `from`-th on: what was known from
 * there on is void, as after a run that was resumed.
 */
export type WatchEvent =
  | { kind: 'runs'; runs: readonly RunSummary[] }
  | { kind: 'tables'; tables: readonly Table[] }
  | { kind: 'metrics'; run: string; from: number; lines: Metrics[] };

/** `GET /api/runs/:id/recipe`: YAML, as text. */

/**
 * `GET /api/runs/:id/trajectories?…`: which are wanted; all that are given hold. As `TrajectoryRow[]`.
 * `GET /api/runs/:id/trajectories/count?…`: how many there are of them, as a number.
 */
export interface TrajectoryQuery {
  /** Iterations from and to, both included. */
  from?: number;
  to?: number;
  task?: string;
  source?: string;
  correct?: boolean;
  pattern?: Pattern;
  /** Whether a tool call in it failed. */
  error?: boolean;
  leastReward?: number;
  mostReward?: number;
  order?: 'newest' | 'oldest' | 'reward' | 'divergence';
  offset?: number;
  /** At most 500. */
  limit?: number;
}

export interface TrajectoryRow extends TrajectoryEntry {
  iteration: number;
  /** Its place among those that were kept of the iteration. */
  index: number;
}

/** `GET /api/runs/:id/trajectories/:iteration/:index` */
export interface TrajectoryView {
  row: TrajectoryRow;
  trajectory: KeptTrajectory;
  /** The other attempts at the task, oldest first. */
  attempts: TrajectoryRow[];
}

/** A search ends when it has found so many. */
export const mostHits = 500;

/** `GET /api/runs/:id/search?text=…&…`: one line of JSON for each trajectory that has the text, newest first whatever the order, as it is found. */
export interface SearchHit {
  row: TrajectoryRow;
  /** The text with what stands around it. */
  excerpt: string;
}

/** `POST /api/runs/:id/chat`: what a model of the run is asked, by a task of the run's world or, in `messages`, by a person. */
export interface ChatRequest {
  model: string;
  /** Which of the world's held-out tasks is asked, or lends its tools and rules. Default 0. */
  task?: number;
  /** The dialogue so far, the person's message last. */
  messages?: Message[];
  /** Default 1. */
  temperature?: number;
  /** Default 0. */
  seed?: number;
}

export interface ChatAnswer {
  /** What was said and done, with what the teacher thinks of every token. Reward and `correct` mean something without `messages`. */
  trajectory: KeptTrajectory;
  /** The dialogue with the answer, to be gone on with. */
  messages: Message[];
}

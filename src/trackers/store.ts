/** What a run came to in an iteration, as trackers have it. */
export interface TrackedLine {
  iteration: number;
  /** When it was told, in milliseconds since 1970. */
  time: number;
  /** Numbers by the names of their metrics. */
  values: ReadonlyMap<string, number>;
}

/** The last iteration of which a store has a metric, by the metric's name. */
export type Known = ReadonlyMap<string, number>;

/** How a run ended, for now: one that was stopped may go on. */
export type Outcome = 'finished' | 'stopped' | 'failed';

/**
 * Where a tracker keeps what it is told. What it has, it says itself: nothing that is kept beside it can be wrong, however a
 * process or a connection ends in between.
 */
export interface Store {
  /** As people are told of it. */
  readonly name: string;
  /** Reaches it, and asks what it has of this run; makes a place for the run where it has none. */
  known(signal: AbortSignal): Promise<Known>;
  /** Adds lines, in their order; of what each holds, it has nothing yet. */
  add(lines: readonly TrackedLine[], signal: AbortSignal): Promise<void>;
  /** Says how the run ended, where it keeps that. */
  end(outcome: Outcome, signal: AbortSignal): Promise<void>;
}

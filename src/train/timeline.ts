import type { Sampler } from '../engine/types.ts';

/** Who works in an iteration; on the local engine they may share a thread. */
export type Worker = 'policy' | 'teacher' | 'trainer';

/** In seconds. */
export interface WorkerTime {
  /** How long something was asked of it that it had not answered yet. */
  busy: number;
  waiting: number;
  /** From when to when it was busy, since the iteration began; pauses of less than a hundredth of it are left out. */
  spans: [number, number][];
}

/** When each worker had something to do. */
export class Timeline {
  readonly #lanes: Record<Worker, Lane> = { policy: new Lane(), teacher: new Lane(), trainer: new Lane() };
  #began = performance.now();

  /** Looks from here on. */
  begin(): void {
    this.#began = performance.now();
    for (const lane of Object.values(this.#lanes)) lane.begin(this.#began);
  }

  async during<T>(worker: Worker, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes[worker];
    lane.enter();
    try {
      return await work();
    } finally {
      lane.leave();
    }
  }

  /** The sampler, whose work is the policy's. */
  watched(sampler: Sampler): Sampler {
    return {
      generate: (...asked) => this.during('policy', () => sampler.generate(...asked)),
      open: async prompt => {
        const conversation = await sampler.open(prompt);
        return {
          generate: (...asked) => this.during('policy', () => conversation.generate(...asked)),
          append: tokens => conversation.append(tokens),
          close: () => conversation.close(),
        };
      },
    };
  }

  /** Since `begin`. */
  times(): Record<Worker, WorkerTime> {
    const now = performance.now();
    const { policy, teacher, trainer } = this.#lanes;
    const timeOf = (lane: Lane) => timesOf(lane.spans(now), this.#began, now);
    return { policy: timeOf(policy), teacher: timeOf(teacher), trainer: timeOf(trainer) };
  }
}

/** Spans, in milliseconds of `performance.now`, in which at least one request was under way. */
class Lane {
  #spans: [number, number][] = [];
  #open = 0;
  #since = 0;

  begin(now: number): void {
    this.#spans = [];
    this.#since = now;
  }

  enter(): void {
    if (this.#open++ === 0) this.#since = performance.now();
  }

  leave(): void {
    if (--this.#open === 0) this.#spans.push([this.#since, performance.now()]);
  }

  spans(now: number): [number, number][] {
    return this.#open > 0 ? [...this.#spans, [this.#since, now]] : this.#spans;
  }
}

function timesOf(spans: readonly [number, number][], began: number, now: number): WorkerTime {
  const busy = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  const shown: [number, number][] = [];
  for (const [from, to] of spans) {
    const last = shown.at(-1);
    if (last && from - last[1] < (now - began) / 100) last[1] = to;
    else shown.push([from, to]);
  }
  const seconds = (ms: number) => Math.round(ms) / 1000;
  return {
    busy: seconds(busy),
    waiting: seconds(now - began - busy),
    spans: shown.map(([from, to]) => [seconds(from - began), seconds(to - began)]),
  };
}

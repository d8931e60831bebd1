import { existsSync, readdirSync } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { trajectoriesOf } from '../../train/runDirectory.ts';
import { type KeptTrajectory, readIndex, readTrajectory } from '../../train/trajectoryFile.ts';
import { tensorboardFolder } from '../schema.ts';
import type { Known, Store, TrackedLine } from '../store.ts';
import { eventBytes, tagsIn, type Value, versionBytes } from './event.ts';
import { histogramOf } from './histogram.ts';
import { recordOf, recordsIn } from './record.ts';
import { trajectoryText } from './trajectoryText.ts';

/** Of an iteration's trajectories one, the first, is told as text. */
const trajectoryTag = 'trajectory';

/**
 * Event files in the folder of a run. All that is told of an iteration at once is one record, which is there whole or not at all;
 * every process writes a file of its own, behind those that are there, also after what failed.
 */
export class TensorBoard implements Store {
  readonly name = "TensorBoard's files";
  readonly #folder: string;
  readonly #trajectories: string;
  #known = new Map<string, number>();
  #file: string | undefined;

  constructor(runDir: string) {
    this.#folder = join(runDir, tensorboardFolder);
    this.#trajectories = trajectoriesOf(runDir);
  }

  async known(): Promise<Known> {
    this.#file = undefined;
    this.#known = new Map();
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : [];
    for (const name of names.filter(name => name.includes('tfevents'))) {
      for (const record of recordsIn(await readFile(join(this.#folder, name)))) {
        const { step, tags } = tagsIn(record);
        for (const tag of tags) if (this.#isNew(tag, step)) this.#known.set(tag, step);
      }
    }
    return this.#known;
  }

  async add(lines: readonly TrackedLine[]): Promise<void> {
    for (const { iteration, time, values } of lines) {
      const scalars = Array.from(values, ([tag, simpleValue]): Value => ({ tag, simpleValue }));
      const told = [...scalars, ...(await this.#ofTrajectories(iteration))];
      await this.#append(eventBytes({ wallTime: time / 1000, step: iteration, values: told }), time);
      for (const { tag } of told) this.#known.set(tag, iteration);
    }
  }

  async end(): Promise<void> {}

  #isNew(tag: string, iteration: number): boolean {
    return iteration > (this.#known.get(tag) ?? -1);
  }

  /** What the trajectories tell that an iteration's run has kept, if that has not been told. */
  async #ofTrajectories(iteration: number): Promise<Value[]> {
    if (!this.#isNew(trajectoryTag, iteration)) return [];
    const divergences = new Histograms('divergence');
    const weights = new Histograms('weight');
    let first: KeptTrajectory | undefined;
    for (const entry of readIndex(this.#trajectories, iteration)) {
      await setImmediate(); // The run goes on meanwhile.
      const trajectory = readTrajectory(this.#trajectories, iteration, entry);
      first ??= trajectory;
      for (const [k, { divergence, weight }] of (trajectory?.steps ?? []).entries()) {
        divergences.add(k, divergence);
        weights.add(k, weight);
      }
    }
    const text = first ? [{ tag: trajectoryTag, text: trajectoryText(first) }] : [];
    return [...divergences.values(), ...weights.values(), ...text];
  }

  async #append(event: Uint8Array, time: number): Promise<void> {
    const begins = !this.#file;
    if (begins) await mkdir(this.#folder, { recursive: true });
    this.#file ??= join(this.#folder, this.#nextName(time));
    const records = [...(begins ? [versionBytes(time / 1000)] : []), event].map(recordOf);
    await appendFile(this.#file, Buffer.concat(records));
  }

  /** TensorBoard reads files in the order of their names. */
  #nextName(time: number): string {
    const seconds = String(Math.floor(time / 1000)).padStart(10, '0');
    for (let count = 0; ; count++) {
      const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${String(count).padStart(3, '0')}`;
      if (!existsSync(join(this.#folder, name))) return name;
    }
  }
}

/** One for each step of trajectories. */
class Histograms {
  readonly #name: string;
  readonly #byStep = new Map<number, number[]>();

  constructor(name: string) {
    this.#name = name;
  }

  /** @param k of the step, from 0; without a value, as where no teacher scored it, it is none */
  add(k: number, value: number | undefined): void {
    if (value === undefined) return;
    const known = this.#byStep.get(k);
    if (known) known.push(value);
    else this.#byStep.set(k, [value]);
  }

  values(): Value[] {
    return Array.from(this.#byStep, ([k, values]) => ({
      tag: `${this.#name}/step ${k + 1}`,
      histo: histogramOf(values),
    }));
  }
}

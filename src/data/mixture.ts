/** Several datasets as one, each as often as its weight says. */
import { basename } from 'node:path';
import { UserError } from '../errors.ts';
import type { DatasetReference } from './dataset.ts';
import type { Spool } from './spool.ts';

export interface WeightedDataset extends DatasetReference {
  /** How much of the mixture is this dataset's, relative to the others' weights. Default: its number of rows. */
  weight?: number;
}

/** A round of a mixture is listed in memory. */
const MOST_RECORDS = 1e7;

/**
 * The records of several datasets by one number: a round of them, spread evenly, in which each dataset has its share. Every
 * record is in the round, those of datasets that are too small for their share several times. Of one dataset it is the records.
 */
export class Mixture<T> {
  readonly #spools: readonly Spool<T>[];
  /** By number: the dataset, and which of its records. */
  readonly #places: readonly [source: number, record: number][];
  /** One for each dataset. */
  readonly names: readonly string[];

  private constructor(spools: readonly Spool<T>[], names: readonly string[], weights: readonly number[]) {
    this.#spools = spools;
    this.names = names;
    this.#places = round(
      spools.map(({ length }) => length),
      weights,
    );
  }

  /** @throws what `open` throws. */
  static async of<T>(
    datasets: readonly WeightedDataset[],
    open: (dataset: WeightedDataset, name: string) => Promise<Spool<T>>,
  ): Promise<Mixture<T>> {
    const names = datasetNames(datasets);
    const spools: Spool<T>[] = [];
    try {
      for (const [i, dataset] of datasets.entries()) spools.push(await open(dataset, names[i]));
      return new Mixture(
        spools,
        names,
        datasets.map(({ weight }, i) => weight ?? spools[i].length),
      );
    } catch (error) {
      for (const spool of spools) spool.close();
      throw error;
    }
  }

  get length(): number {
    return this.#places.length;
  }

  /** Another one means other records. */
  get digest(): string {
    return this.#spools.map(({ digest }) => digest).join('+');
  }

  read(index: number): T {
    const [source, record] = this.#places[index];
    return this.#spools[source].read(record);
  }

  /** The name of the dataset that the record is of. */
  nameOf(index: number): string {
    return this.names[this.#places[index][0]];
  }

  close(): void {
    for (const spool of this.#spools) spool.close();
  }
}

/** The places of a round; each next one is the dataset's that is furthest behind its share. */
function round(sizes: readonly number[], weights: readonly number[]): [number, number][] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map(weight => weight / total);
  const length = Math.max(...sizes.map((size, i) => (size === 0 ? 0 : Math.ceil(size / shares[i] - 1e-9))));
  if (length > MOST_RECORDS) {
    throw new UserError(
      `a round of the mixture has ${length} records, more than ${MOST_RECORDS}: make its weights less unequal`,
    );
  }
  const given = sizes.map(() => 0);
  return Array.from({ length }, (_, position) => {
    const behind = shares.map((share, i) => (sizes[i] === 0 ? -Infinity : share * (position + 1) - given[i]));
    const source = behind.indexOf(Math.max(...behind));
    return [source, given[source]++ % sizes[source]];
  });
}

/** Names for people: of the Hub, or of the file; with a number where two would be the same. */
export function datasetNames(datasets: readonly DatasetReference[]): string[] {
  const names = datasets.map(({ source, file }) => {
    const name = source.startsWith('hf:') ? source : basename(source);
    return file ? `${name}/${file}` : name;
  });
  return names.map((name, i) => {
    const before = names.slice(0, i).filter(other => other === name).length;
    return before > 0 ? `${name} (${before + 1})` : name;
  });
}

import { UserError } from '../errors.ts';

/** Of each reason, so many rows are named. */
const NAMED = 3;
/** Reasons that are told apart; rows of any other are counted together. */
const MOST_REASONS = 20;

interface Reason {
  count: number;
  /** Where the first ones stand. */
  rows: string[];
}

/** The rows of a dataset that cannot be used, by what is wrong with them. */
export class LeftOut {
  readonly #maxShare: number;
  readonly #reasons = new Map<string, Reason>();
  /** Rows that can be used. */
  used = 0;
  #count = 0;

  /** @param maxShare of the rows may be left out, in [0, 1] */
  constructor(maxShare: number) {
    this.#maxShare = maxShare;
  }

  /** @throws UserError where no row may be left out. */
  add(at: string, wrong: string): void {
    if (this.#maxShare === 0) throw new UserError(`${at}: ${wrong}`);
    this.#count++;
    const name = wrong.replace(/\d+/g, 'N');
    const key = this.#reasons.has(name) || this.#reasons.size < MOST_REASONS ? name : 'other reasons';
    const reason = this.#reasons.get(key) ?? { count: 0, rows: [] };
    reason.count++;
    if (reason.rows.length < NAMED) reason.rows.push(at);
    this.#reasons.set(key, reason);
  }

  /**
   * What was left out, in a line; undefined where nothing was.
   * @throws UserError where it is more than may be.
   */
  report(source: string): string | undefined {
    if (this.#count === 0) return undefined;
    const reasons = [...this.#reasons].sort(([, a], [, b]) => b.count - a.count).map(formatReason);
    const read = this.used + this.#count;
    const counted = `${this.#count} of ${read} rows of ${source}`;
    if (this.#count <= this.#maxShare * read) return `left out: ${counted}: ${reasons.join('; ')}`;
    throw new UserError(
      `${counted} cannot be used, more than the ${percent(this.#maxShare)} that data.maxSkipped allows: ${reasons.join('; ')}`,
    );
  }
}

function formatReason([reason, { count, rows }]: [string, Reason]): string {
  return `${count} × ${reason} (${rows.join('; ')}${count > rows.length ? '; …' : ''})`;
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}

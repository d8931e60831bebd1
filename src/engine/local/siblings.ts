/** Keys and values of so many tokens after the same past. */
export interface Page {
  index: number;
  /** The tokens whose keys and values the page holds by now, in order; at most `pageTokens`. */
  tokens: number[];
  /** Whether it gets no more of them. */
  complete: boolean;
  /** Where it stands. */
  siblings: Siblings;
  children: Siblings;
  /** Sequences under way that hold it. */
  users: number;
  lastUse: number;
}

/**
 * Pages with the same past. Those that are complete stand in the order of their tokens: what agrees most with other tokens stands
 * where these would have their place, however many pages there are. Those that are still filled, one for each sequence under way
 * at most, stand apart.
 */
export class Siblings {
  readonly #pageTokens: number;
  readonly #complete: Page[] = [];
  readonly #filling: Page[] = [];

  constructor(pageTokens: number) {
    this.#pageTokens = pageTokens;
  }

  get isEmpty(): boolean {
    return this.#complete.length + this.#filling.length === 0;
  }

  /** A page that is not complete. */
  add(page: Page): void {
    this.#filling.push(page);
  }

  /** The page gets no more tokens. */
  complete(page: Page): void {
    page.complete = true;
    this.#filling.splice(this.#filling.indexOf(page), 1);
    this.#complete.splice(this.#placeOf(page.tokens, 0, page.tokens.length), 0, page);
  }

  remove(page: Page): void {
    const place = this.#complete.indexOf(page, this.#placeOf(page.tokens, 0, page.tokens.length));
    this.#complete.splice(place, 1);
  }

  clear(): void {
    this.#complete.length = 0;
    this.#filling.length = 0;
  }

  /** The page that agrees with `tokens` from `from` on, before `end`, in most tokens: in `common` of them. */
  longestAgreement(tokens: readonly number[], from: number, end: number): { page?: Page; common: number } {
    for (const page of this.#filling.filter(({ tokens }) => tokens.length === this.#pageTokens)) this.complete(page);
    const place = this.#placeOf(tokens, from, end);
    let best: { page?: Page; common: number } = { common: 0 };
    for (const page of [...this.#complete.slice(Math.max(0, place - 1), place + 1), ...this.#filling]) {
      const common = agreement(page.tokens, tokens, from, end);
      if (common > best.common) best = { page, common };
    }
    return best;
  }

  /** How many complete pages come before these tokens. */
  #placeOf(tokens: readonly number[], from: number, end: number): number {
    let [low, high] = [0, this.#complete.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comesBefore(this.#complete[middle].tokens, tokens, from, end)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** How many tokens two runs begin with alike; the second is a part of `tokens`. */
function agreement(page: readonly number[], tokens: readonly number[], from: number, end: number): number {
  const most = Math.min(page.length, end - from);
  let common = 0;
  while (common < most && page[common] === tokens[from + common]) common++;
  return common;
}

function comesBefore(page: readonly number[], tokens: readonly number[], from: number, end: number): boolean {
  const common = agreement(page, tokens, from, end);
  if (from + common === end) return false;
  return common === page.length || page[common] < tokens[from + common];
}

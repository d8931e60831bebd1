import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageCache } from '../../../src/engine/local/pageCache.ts';
import type { Page } from '../../../src/engine/local/siblings.ts';

const pageTokens = 4;

interface Holder {
  tokens: number[];
  pages: Page[];
  cached: number;
}

/** What the pages of a real cache would hold: the sequence of tokens behind each key, the whole past. */
class Memory {
  readonly contents: string[][];
  copies = 0;
  constructor(pages: number) {
    this.contents = Array.from({ length: pages }, () => []);
  }
  copy = (to: number, from: number) => {
    this.contents[to] = [...this.contents[from]];
    this.copies++;
  };
}

const action = fc.oneof(
  fc.record({
    kind: fc.constant('acquire' as const),
    from: fc.nat(),
    kept: fc.nat({ max: 16 }),
    added: fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 10 }),
  }),
  fc.record({
    kind: fc.constant('compute' as const),
    who: fc.nat(),
    rows: fc.integer({ min: 1, max: 6 }),
    /** Whether there is a page before it is needed, as for a long piece of a prompt. */
    ahead: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('release' as const), who: fc.nat() }),
  fc.record({ kind: fc.constant('clear' as const) }),
);

test('pages hold what their holders believe, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(action, { maxLength: 80, size: 'max' }), (pages, actions) => {
      const memory = new Memory(pages);
      const cache = new PageCache(pages, pageTokens, memory.copy);
      const holders: Holder[] = [];
      const known: number[][] = [[]];
      const check = () => {
        for (const { tokens, pages, cached } of holders) {
          for (let t = 0; t < cached; t++) {
            const held = memory.contents[pages[Math.floor(t / pageTokens)].index][t % pageTokens];
            expect(held).toBe(tokens.slice(0, t + 1).join());
          }
        }
        // A page that is not full has one holder: whoever writes into it.
        const open = holders.flatMap(h => h.pages.slice(Math.floor(h.cached / pageTokens)).map(page => page.index));
        expect(new Set(open).size).toBe(open.length);
        expect(new Set(holders.flatMap(h => h.pages.map(page => page.index))).size).toBeLessThanOrEqual(pages);
      };
      for (const step of actions) {
        if (step.kind === 'acquire') {
          const tokens = [...known[step.from % known.length].slice(0, step.kept), ...step.added];
          known.push(tokens);
          const acquired = cache.acquire(tokens);
          expect(acquired.cached).toBeLessThan(tokens.length);
          expect(acquired.pages.length).toBe(Math.ceil(acquired.cached / pageTokens));
          holders.push({ tokens, ...acquired });
        } else if (step.kind === 'compute' && holders.length > 0) {
          const holder = holders[step.who % holders.length];
          if (step.ahead && holder.pages.length * pageTokens < holder.tokens.length) cache.append(holder.pages);
          for (let r = 0; r < step.rows && holder.cached < holder.tokens.length; r++) {
            if (holder.pages.length * pageTokens === holder.cached && !cache.append(holder.pages)) {
              const held = new Set(holders.flatMap(h => h.pages.map(page => page.index)));
              expect(held.size).toBe(pages);
              break;
            }
            const page = holder.pages[Math.floor(holder.cached / pageTokens)];
            memory.contents[page.index][holder.cached % pageTokens] = holder.tokens.slice(0, holder.cached + 1).join();
            page.tokens.push(holder.tokens[holder.cached]);
            holder.cached++;
          }
        } else if (step.kind === 'release' && holders.length > 0) {
          const [holder] = holders.splice(step.who % holders.length, 1);
          cache.release(holder.pages);
        } else if (step.kind === 'clear') {
          for (const holder of holders.splice(0)) cache.release(holder.pages);
          cache.clear();
        }
        check();
      }
    }),
    { numRuns: 500 },
  );
});

function fill(cache: PageCache, tokens: number[]): Page[] {
  const { pages, cached } = cache.acquire(tokens);
  for (let t = cached; t < tokens.length; t++) {
    if (t === pages.length * pageTokens) cache.append(pages);
    pages[Math.floor(t / pageTokens)].tokens.push(tokens[t]);
  }
  return pages;
}

test('all but the last token of a released sequence is found again while there is room', () => {
  const cache = new PageCache(8, pageTokens, () => {});
  const tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  cache.release(fill(cache, tokens));
  for (const length of [1, 4, 5, 8, 9]) {
    const { pages, cached } = cache.acquire(tokens.slice(0, length));
    expect(cached).toBe(length - 1);
    cache.release(pages);
  }
  expect(cache.acquire([1, 2, 3, 4, 5, 0, 0]).cached).toBe(5);
  expect(cache.acquire([2, 3]).cached).toBe(0);
});

test('what was unused for longest makes room first', () => {
  const cache = new PageCache(3, pageTokens, () => {});
  const [a, b, c, d] = [1, 2, 3, 4].map(token => new Array<number>(pageTokens).fill(token));
  for (const tokens of [a, b, c]) cache.release(fill(cache, tokens));
  cache.release(cache.acquire([...a, 0]).pages);
  cache.release(fill(cache, d));
  expect([a, b, c, d].map(tokens => cache.acquire([...tokens, 0]).cached)).toEqual([4, 0, 4, 4]);
});

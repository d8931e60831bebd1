import { type Page, Siblings } from './siblings.ts';

/**
 * Which pages of the key/value cache hold which tokens: a tree of pages by token prefix (as in SGLang's RadixAttention,
 * arXiv 2312.07104). Sequences that begin alike share the pages of that beginning, whoever computed them first; what nobody
 * uses stays until its room is needed, so that a conversation finds its past again. Each model has a tree of its own.
 *
 * Knows nothing of tensors: pages are numbers, and the caller copies and fills their contents.
 */
export class PageCache {
  readonly pageTokens: number;
  readonly #copy: (to: number, from: number) => void;
  readonly #vacant: number[];
  /** By their models; of one that is gone, pages are found no more and are the first to make room. */
  #roots = new WeakMap<object, Siblings>();
  readonly #pages = new Set<Page>();
  #clock = 0;

  /** @param copy copies the contents of one page to another */
  constructor(pages: number, pageTokens: number, copy: (to: number, from: number) => void) {
    this.pageTokens = pageTokens;
    this.#copy = copy;
    this.#vacant = Array.from({ length: pages }, (_, i) => pages - 1 - i);
  }

  /**
   * Takes hold of the pages with the longest known beginning of `tokens`; a page that agrees in part is copied.
   * @param model whose keys and values they are
   * @returns the pages and how many tokens they hold, never all: the last token always has to be computed for its logits
   */
  acquire(tokens: readonly number[], model: object = this): { pages: Page[]; cached: number } {
    const pages: Page[] = [];
    let cached = 0;
    const most = tokens.length - 1;
    for (;;) {
      const siblings = this.#behind(pages, model);
      const end = Math.min(most, cached + this.pageTokens);
      const { page, common } = siblings.longestAgreement(tokens, cached, end);
      if (!page) return { pages, cached };
      page.lastUse = ++this.#clock;
      if (common === this.pageTokens) {
        page.users++;
        pages.push(page);
        cached += common;
        continue;
      }
      page.users++;
      const copy = this.append(pages, model);
      page.users--;
      if (copy) {
        this.#copy(copy.index, page.index);
        copy.tokens.push(...page.tokens.slice(0, common));
        cached += common;
      }
      return { pages, cached };
    }
  }

  /** Adds an empty page behind `pages` and holds it; undefined when all room is held by others. */
  append(pages: Page[], model: object = this): Page | undefined {
    if (this.#vacant.length === 0) this.#evict();
    const index = this.#vacant.pop();
    if (index === undefined) return undefined;
    const page: Page = {
      index,
      tokens: [],
      complete: false,
      siblings: this.#behind(pages, model),
      children: new Siblings(this.pageTokens),
      users: 1,
      lastUse: ++this.#clock,
    };
    page.siblings.add(page);
    this.#pages.add(page);
    pages.push(page);
    return page;
  }

  /** Lets go of a sequence's pages; their contents stay findable while there is room. */
  release(pages: readonly Page[]): void {
    for (const page of pages) {
      if (!page.complete) page.siblings.complete(page);
      page.users--;
      page.lastUse = ++this.#clock;
    }
  }

  /** Forgets everything, for the weights have changed. Nobody may hold a page. */
  clear(): void {
    for (const page of this.#pages) this.#vacant.push(page.index);
    this.#pages.clear();
    this.#roots = new WeakMap();
  }

  /** Drops the pages unused for longest, children before parents: a sixteenth of all pages at a time, to do it seldom. */
  #evict(): void {
    const goal = Math.max(1, this.#pages.size >> 4);
    while (this.#vacant.length < goal) {
      const leaves = [...this.#pages].filter(page => page.users === 0 && page.children.isEmpty);
      if (leaves.length === 0) return;
      leaves.sort((a, b) => a.lastUse - b.lastUse);
      for (const page of leaves.slice(0, goal - this.#vacant.length)) {
        page.siblings.remove(page);
        this.#pages.delete(page);
        this.#vacant.push(page.index);
      }
    }
  }

  /** Those that go on where `pages` end. */
  #behind(pages: readonly Page[], model: object): Siblings {
    const last = pages.at(-1);
    if (last) return last.children;
    const roots = this.#roots.get(model) ?? new Siblings(this.pageTokens);
    this.#roots.set(model, roots);
    return roots;
  }
}

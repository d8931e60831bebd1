/** Where the reader is: a page and what is chosen on it, in the address behind `#`, so that links can be copied. */
import { useEffect, useState } from 'preact/hooks';

export interface Route {
  page: string;
  params: URLSearchParams;
}

export type Choices = Record<string, string | number | readonly string[] | undefined>;

/** The address of a page; choices without a value are left out. */
export function linkTo(page: string, choices: Choices = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) {
    for (const each of [value].flat()) if (each !== undefined && each !== '') params.append(name, String(each));
  }
  return `#/${page}${params.size > 0 ? `?${params}` : ''}`;
}

/** Changes what is chosen, without a new entry in the history. */
export function choose({ page, params }: Route, change: Choices): void {
  const rest = Object.fromEntries([...new Set(params.keys())].map(name => [name, params.getAll(name)]));
  history.replaceState(null, '', linkTo(page, { ...rest, ...change }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  const [page, query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return { page, params: new URLSearchParams(query) };
}

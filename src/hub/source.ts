import type { HubSettings } from './settings.ts';

/** A repository of the Hub at a branch, tag or commit. */
export interface Source {
  type: 'dataset' | 'model';
  /** `org/name` */
  name: string;
  revision: string;
}

/** How the person hears of the work, and stops it. */
export interface FetchControl {
  /** As the bytes of a file arrive; not called for files that are in the cache. `file` is the path in the repository. */
  onProgress?: (file: string, doneBytes: number, totalBytes: number) => void;
  onNotice?: (notice: string) => void;
  signal?: AbortSignal;
}

/** What all parts of one fetch share. */
export interface Hub extends HubSettings, Source, FetchControl {}

/** The address of the repository, for people and for its files. */
export function pageOf({ endpoint, type, name }: Hub): string {
  return `${endpoint}/${type === 'dataset' ? 'datasets/' : ''}${name}`;
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

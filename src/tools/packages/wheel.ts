/** A wheel: a zip archive of a Python package, whose name says what it is and where it runs. */
import { unzipSync } from 'fflate';
import { UserError } from '../../errors.ts';
import { normalized } from './release.ts';

export interface WheelName {
  /** Normalized. */
  name: string;
  version: string;
  /** Nothing in it is compiled. */
  isPure: boolean;
}

export interface Wheel extends WheelName {
  /** Normalized names of what it always needs, and of what it needs only under some conditions. */
  depends: string[];
  mayDepend: string[];
  /** What can be imported. */
  modules: string[];
}

/** What the name of a file says; undefined where it is no wheel's. */
export function parseWheelName(file: string): WheelName | undefined {
  const parts = /^([\w.]+)-([^-]+)(?:-\d[^-]*)?-([^-]+-[^-]+-[^-]+)\.whl$/.exec(file);
  if (!parts) return undefined;
  const [, name, version, tag] = parts;
  return { name: normalized(name), version, isPure: /(^|\.)py3(\.[^-]*)?-none-any$/.test(tag) };
}

/** The files of a wheel by their paths. @throws UserError if it is damaged. */
export function wheelFiles(bytes: Uint8Array, source: string): Record<string, Uint8Array> {
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes);
  } catch (error) {
    throw new UserError(`${source} is no wheel, or a damaged one (${(error as Error).message})`);
  }
  const outside = Object.keys(files).find(path => path.startsWith('/') || path.split('/').includes('..'));
  if (outside) throw new UserError(`${source}: ${JSON.stringify(outside)} leads out of the package`);
  return files;
}

/** What a wheel says of itself. @throws UserError if it is damaged. */
export function readWheel(bytes: Uint8Array, name: WheelName, source: string): Wheel {
  const files = wheelFiles(bytes, source);
  const metadata = Object.keys(files).find(path => /^[^/]+\.dist-info\/METADATA$/.test(path));
  if (!metadata) throw new UserError(`${source} has no METADATA: it is no wheel`);
  const needs = [...headerOf(files[metadata]).matchAll(/^Requires-Dist: *([\w.-]+)([^;\n]*)(;.*)?$/gm)];
  const isExtra = (marker = '') => /\bextra\b/.test(marker);
  return {
    ...name,
    depends: needs.filter(([, , , marker]) => !marker).map(([, need]) => normalized(need)),
    mayDepend: needs.filter(([, , , marker]) => marker && !isExtra(marker)).map(([, need]) => normalized(need)),
    modules: modulesOf(Object.keys(files)),
  };
}

function headerOf(metadata: Uint8Array): string {
  return new TextDecoder().decode(metadata).replaceAll('\r', '').split('\n\n', 1)[0];
}

function modulesOf(paths: string[]): string[] {
  const found = paths.flatMap(path => {
    const [, module] =
      /^([A-Za-z_]\w*)\/__init__\.py$/.exec(path) ?? /^([A-Za-z_]\w*)(?:\.py|\.[\w-]+\.so)$/.exec(path) ?? [];
    return module ?? [];
  });
  return [...new Set(found)];
}

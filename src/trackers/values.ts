import { isObject } from '../json.ts';
import type { Metrics } from '../train/runDirectory.ts';

/**
 * Every number of a line of metrics, by its path: `seconds/rollout`, and `divergenceByStep/2/mean` for the second step. What else is
 * in lists, such as the times from when to when an engine was busy, is no curve.
 */
export function valuesOf({ iteration: _, ...metrics }: Metrics): Map<string, number> {
  const values = new Map<string, number>();
  add(values, '', metrics);
  return values;
}

function add(values: Map<string, number>, path: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value)) values.set(path, value);
  if (isObject(value)) for (const [key, inner] of Object.entries(value)) add(values, joined(path, key), inner);
  if (Array.isArray(value)) {
    for (const [k, inner] of value.entries()) if (isObject(inner)) add(values, joined(path, String(k + 1)), inner);
  }
}

const mostChars = 80;

function joined(path: string, key: string): string {
  return path === '' ? segment(key) : `${path}/${segment(key)}`;
}

/** As every tracker takes it: datasets and worlds may be named by paths and addresses. */
function segment(key: string): string {
  const plain = key.replace(/[^\w. -]/g, '_').slice(-mostChars);
  return /^\.*$/.test(plain) ? '_'.repeat(plain.length || 1) : plain;
}

import { parse } from 'yaml';
import { UserError } from '../errors.ts';

/** A part of a recipe as YAML gives it. */
export type Section = Record<string, unknown>;

/** `['a.b=1', 'c=x']` as `{ a: { b: 1 }, c: 'x' }`; values are YAML. */
export function parseOverrides(assignments: readonly string[]): Section {
  return assignments.map(parseOverride).reduce(merge, {});
}

function parseOverride(assignment: string): Section {
  const [, path, value] = /^([\w.-]+)=(.*)$/s.exec(assignment) ?? [];
  if (!path) throw new UserError(`'${assignment}' is not of the form key=value, such as optimizer.learningRate=1e-5`);
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), parse(value)) as Section;
}

/** `base` with what `over` holds put over it, section by section. */
export function merge(base: Section, over: Section): Section {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    result[key] = isSection(value) && isSection(old) ? merge(old, value) : value;
  }
  return result;
}

export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

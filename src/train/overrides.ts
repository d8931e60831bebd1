import { parseYaml } from '../documents.ts';
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
  const parsed = parseYaml(value, assignment);
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), parsed) as Section;
}

/** `base` with what `over` holds put over it, section by section; null takes away what `base` has (as in RFC 7396). */
export function merge(base: Section, over: Section): Section {
  const result = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const old = result.get(key);
    if (value === null) result.delete(key);
    else result.set(key, isSection(value) && isSection(old) ? merge(old, value) : value);
  }
  return Object.fromEntries(result);
}

export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

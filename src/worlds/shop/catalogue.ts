/** Names of goods that nobody has seen before, and the mistakes that people make in writing them. */
import type { Random } from '../../random.ts';

const CONSONANTS = [...'bdfgklmnprstvz'];
const VOWELS = [...'aeiou'];

/** Misspellings of one name are at distance 1, so at least 3 between names leave no doubt which one is meant. */
const NAME_DISTANCE = 3;

/** `count` names, far enough apart that a misspelt one is still nearest to its own. */
export function randomNames(count: number, random: Random): string[] {
  const names: string[] = [];
  while (names.length < count) {
    const syllables = random.uniform() < 0.25 ? 3 : 2;
    const name = Array.from({ length: syllables }, () => random.pick(CONSONANTS) + random.pick(VOWELS)).join('');
    if (names.every(other => editDistance(name, other) >= NAME_DISTANCE)) names.push(name);
  }
  return names;
}

/** A plural, a doubled letter or a dropped one. */
export function misspelt(name: string, random: Random): string {
  const at = 1 + random.below(name.length - 1);
  return random.pick([`${name}s`, name.slice(0, at) + name.slice(at - 1), name.slice(0, at) + name.slice(at + 1)]);
}

/** The name that was probably meant, if any is close. */
export function nearestName(name: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = NAME_DISTANCE;
  for (const candidate of names) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Letters to insert, drop or replace (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

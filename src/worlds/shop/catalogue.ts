/** Names of goods that nobody has seen before, and the mistakes that people make in writing them. */
import { distance } from 'fastest-levenshtein';
import type { Random } from '../../random.ts';

const CONSONANTS = [...'bdfgklmnprstvz'];
const VOWELS = [...'aeiou'];
const SYLLABLES = CONSONANTS.flatMap(consonant => VOWELS.map(vowel => consonant + vowel));

/** Misspellings of one name are at distance 1, so at least 3 between names leave no doubt which one is meant. */
const NAME_DISTANCE = 3;

/**
 * `count` names, far enough apart that a misspelt one is still nearest to its own. No two share a syllable: what was
 * said last always tells what comes next, so that copying a name is the first thing a small model can learn.
 */
export function randomNames(count: number, random: Random): string[] {
  for (;;) {
    const syllables = random.shuffled(SYLLABLES);
    const names = Array.from({ length: count }, () => syllables.splice(0, 2).join(''));
    const areApart = names.every((a, i) => names.slice(0, i).every(b => distance(a, b) >= NAME_DISTANCE));
    if (areApart) return names;
  }
}

/** A plural, or a doubled letter. */
export function misspelt(name: string, random: Random): string {
  const at = 1 + random.below(name.length - 1);
  return random.pick([`${name}s`, name.slice(0, at) + name.slice(at - 1)]);
}

/** The name that was probably meant, if any is close. */
export function nearestName(name: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = NAME_DISTANCE;
  for (const candidate of names) {
    const edits = distance(name, candidate);
    if (edits < bestDistance) [best, bestDistance] = [candidate, edits];
  }
  return best;
}

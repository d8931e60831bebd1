/** Who works in an office, whom each reports to and where each sits: what the tools look things up in. */
import { Random } from 'sod';

export interface Person {
  /** Everybody has one, except who leads the office. */
  manager?: string;
  room: string;
}

export type Directory = ReadonlyMap<string, Person>;

/** What some people are called, and the name the directory has them under. */
export const nicknames: Readonly<Record<string, string>> = {
  Bob: 'Robert',
  Liz: 'Elizabeth',
  Mike: 'Michael',
  Kate: 'Katherine',
  Tom: 'Thomas',
  Sue: 'Susan',
};

const names = [...Object.values(nicknames), 'Amina', 'Boris', 'Chen', 'Dilan', 'Elif', 'Femi', 'Greta', 'Hugo', 'Ines'];
const trees = ['Acacia', 'Birch', 'Cedar', 'Elm', 'Fir', 'Hazel', 'Larch', 'Maple', 'Oak', 'Pine', 'Rowan', 'Willow'];

/** An office of eight people; the same seed gives the same office. */
export function randomDirectory(...seed: (string | number)[]): Directory {
  const random = Random.of('office', ...seed);
  const people = random.shuffled(names).slice(0, 8);
  const rooms = random.shuffled(trees);
  return new Map(
    people.map((name, i) => [name, { manager: i > 0 ? people[random.below(i)] : undefined, room: rooms[i] }]),
  );
}

/** The managers above somebody, nearest first. */
export function managersOf(directory: Directory, name: string): string[] {
  const manager = directory.get(name)?.manager;
  return manager ? [manager, ...managersOf(directory, manager)] : [];
}

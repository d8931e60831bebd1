/** The chance for one token of one sequence: a hash (murmur3's finalizer, twice) to 24 bits, exact in a float. */
export function uniform(seed: number, position: number): number {
  return (mix(mix(seed) ^ Math.imul(position, 0x9e3779b9)) >>> 8) / 2 ** 24;
}

function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

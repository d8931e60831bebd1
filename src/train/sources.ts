/**
 * What is measured of each source by itself.
 * @param sources of each item
 * @param measure of the items of one source, by their places
 */
export function bySource<T>(sources: readonly string[], measure: (places: readonly number[]) => T): Record<string, T> {
  const names = [...new Set(sources)].sort();
  const placesOf = (name: string) => sources.flatMap((source, place) => (source === name ? [place] : []));
  return Object.fromEntries(names.map(name => [name, measure(placesOf(name))]));
}

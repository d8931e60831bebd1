/** Units under the names that they go by. */
const names: Record<string, string> = {
  mm: 'millimeter millimetre',
  cm: 'centimeter centimetre',
  m: 'meter metre',
  km: 'kilometer kilometre',
  in: 'inch inches',
  ft: 'foot feet',
  yd: 'yard',
  mi: 'mile',
  mg: 'milligram',
  g: 'gram',
  kg: 'kilogram',
  lb: 'pound lbs',
  oz: 'ounce',
  ml: 'milliliter millilitre',
  l: 'liter litre',
  s: 'second sec',
  min: 'minute',
  h: 'hour hr',
  $: 'dollar',
  '¢': 'cent',
};
const shortNames = new Map(
  Object.entries(names).flatMap(([short, long]) => long.split(' ').map(name => [name, short] as const)),
);
/** Words that say more of a number than what it counts. */
const restricting =
  /\b(?:or|and|not|no|more|less|fewer|least|most|than|to|if|when|remainder|r|mod|over|choose|factorial|squared|cubed|times|plus|minus|th|of)\b/;

/** A unit in one spelling; empty for one that says nothing, undefined for words that are none. */
export function canonicalUnit(unit: string): string | undefined {
  const words = unit.toLowerCase().replace(/[{}.]/g, ' ').trim();
  if (restricting.test(words)) return undefined;
  return words
    .replace(/\b(?:sq|square) (\w+)/, '$1 ^ 2')
    .replace(/\b(?:cu|cubic) (\w+)/, '$1 ^ 3')
    .replace(/\bper\b/g, '/')
    .replace(
      /[a-z]+/g,
      word => shortNames.get(word) ?? shortNames.get(word.replace(/s$/, '')) ?? word.replace(/(?<=..)s$/, ''),
    )
    .replace(/\bunit\b(?: \^ \d)?/, '')
    .replace(/\s+/g, '');
}

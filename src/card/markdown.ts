/** A name as the text of a table's cell or a list: what Markdown would take as its own is escaped. */
export function cell(text: string): string {
  return text.replace(/[\\|`*_<>[\]]/g, '\\$&').replace(/\s+/g, ' ');
}

/** `1 update`, `2 updates`, `12,000 updates`. */
export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}${number === 1 ? '' : 's'}`;
}

/** A model, dataset or page of the Hub. */
export function hubLink(name: string, type: 'model' | 'dataset' = 'model'): string {
  return `[${name}](https://huggingface.co/${type === 'dataset' ? 'datasets/' : ''}${name})`;
}

/** 651,234 → 651K; 596,049,920 → 596M. */
export function approximately(number: number): string {
  for (const [size, letter] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'K'],
  ] as const) {
    if (number >= size) return `${Number((number / size).toPrecision(3))}${letter}`;
  }
  return String(number);
}

/** Bytes as people read them: in GiB where they are compared with each other, in the unit that fits where they stand alone. */
export function inGiB(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

export function sizeText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

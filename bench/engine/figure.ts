/** One number that was measured, and what it should be on each ISA: one bound, or one for each ISA that has one. */
export interface Measured {
  figure: string;
  value: number;
  unit: string;
  atLeast?: Bound;
  atMost?: Bound;
}

export type Bound = number | Readonly<Record<string, number>>;

/** One line of the table. */
export interface Figure {
  figure: string;
  /** The instruction set that it was measured on. */
  isa: string;
  value: number;
  unit: string;
  target?: number;
  meets?: boolean;
}

export function judge({ figure, value, unit, atLeast, atMost }: Measured, isa: string): Figure {
  const [low, high] = [boundOn(isa, atLeast), boundOn(isa, atMost)];
  const line = { figure, isa, value, unit };
  if (low !== undefined) return { ...line, target: low, meets: value >= low };
  if (high !== undefined) return { ...line, target: high, meets: value <= high };
  return line;
}

function boundOn(isa: string, bound?: Bound): number | undefined {
  return typeof bound === 'object' ? bound[isa] : bound;
}

export function table(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ figure }) => figure.length));
  const isaWidth = Math.max(...figures.map(({ isa }) => isa.length));
  return figures
    .map(({ figure, isa, value, unit, target, meets }) => {
      const measured = `${value.toFixed(2)} ${unit}`.trim();
      const wanted = target === undefined ? '' : `   target ${`${target} ${unit}`.trim()}${meets ? '' : '   missed'}`;
      return `${figure.padEnd(width)}  ${isa.padEnd(isaWidth)}  ${measured.padStart(15)}${wanted}`;
    })
    .join('\n');
}

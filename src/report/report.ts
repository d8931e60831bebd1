/** What a static report shows: plain data, which the page in its file draws as `sod watch` draws a run. */
import type { KeptTrajectory } from '../train/trajectoryFile.ts';
import type { ChartContent } from './charts.ts';

export interface Report {
  title: string;
  /** What came out, in a line. */
  headline: string;
  /** What was done. */
  about: string;
  /** How it was measured. */
  settings: string;
  warning?: string;
  table: ResultTable;
  sections: ReportSection[];
}

/** Results with their error bars: a bar follows the first of a row's cells, which is its average. */
export interface ResultTable {
  /** Of the names and of each cell. */
  head: string[];
  rows: ResultRow[];
  note?: string;
}

export interface ResultRow {
  name: string;
  /** Of the palette. */
  color: string;
  /** In percent. */
  average: number;
  /** Half the length of the error bar. */
  error: number;
  cells: string[];
  isBest?: boolean;
}

export interface ReportSection {
  title: string;
  text?: string;
  charts?: ChartContent[];
  trajectories?: KeptTrajectory[];
}

/** A section with the charts that have lines; none where none has. */
export function chartSection(
  title: string,
  text: string | undefined,
  charts: readonly ChartContent[],
): ReportSection[] {
  const drawn = charts.filter(({ lines }) => lines.some(({ points }) => points.length > 0));
  return drawn.length > 0 ? [{ title, text, charts: drawn }] : [];
}

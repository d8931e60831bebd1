/** Figures of the SOD paper (arXiv 2605.07725): average@32 in percent, means over five seeds. */
export interface PublishedRow {
  parameters: string;
  method: string;
  /** By benchmark. */
  averages: Record<PublishedBenchmark, number>;
}

export type PublishedBenchmark = 'aime24' | 'aime25' | 'gpqa-diamond' | 'livecodebench-v6';

const row = (parameters: string, method: string, figures: [number, number, number, number]): PublishedRow => {
  const [aime24, aime25, gpqa, liveCodeBench] = figures;
  return { parameters, method, averages: { aime24, aime25, 'gpqa-diamond': gpqa, 'livecodebench-v6': liveCodeBench } };
};

export const publishedRows: PublishedRow[] = [
  row('4B', 'GRPO (teacher)', [67.6, 60.42, 55.19, 63.13]),
  row('0.6B', 'Vanilla', [7.71, 12.81, 13.24, 14.89]),
  row('0.6B', 'SFT', [5.67, 5.42, 15.2, 9.61]),
  row('0.6B', 'GRPO', [4.06, 4.9, 20.38, 15.95]),
  row('0.6B', 'OPD', [16.82, 22.95, 17.76, 22.65]),
  row('0.6B', 'OPSD_gt', [12.63, 17.04, 17.32, 16.73]),
  row('0.6B', 'OPSD_hint', [9.77, 14.12, 15.98, 12.65]),
  row('0.6B', 'SOD', [20.84, 26.13, 22.19, 27.72]),
  row('1.7B', 'Vanilla', [9.9, 8.96, 26.8, 22.73]),
  row('1.7B', 'SFT', [26.77, 22.4, 29.85, 24.63]),
  row('1.7B', 'GRPO', [25.63, 21.67, 33.55, 20.7]),
  row('1.7B', 'OPD', [43.86, 37.04, 31.73, 32.45]),
  row('1.7B', 'OPSD_gt', [33.85, 24.69, 35.02, 22.73]),
  row('1.7B', 'OPSD_hint', [34.42, 21.43, 33.46, 23.12]),
  row('1.7B', 'SOD', [50.83, 41.72, 38.72, 40.63]),
];

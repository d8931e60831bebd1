import { percent, percentText } from '../report/numbers.ts';
import type { Benchmark } from './benchmarks.ts';
import { mean } from './metrics.ts';
import { type PublishedBenchmark, publishedRows } from './published.ts';
import type { SamplingSettings } from './sampling.ts';
import type { Figure, Summary } from './summary.ts';

/** What a model reached on a benchmark. */
export interface Result {
  benchmark: Benchmark;
  summary: Summary;
}

/** What `results.json` holds; fractions in percent. */
export function resultsJson(model: string, settings: SamplingSettings, results: readonly Result[]) {
  return {
    model,
    settings,
    benchmarks: results.map(({ benchmark: { name, title, dataset }, summary }) => ({
      name,
      title,
      dataset,
      tasks: summary.tasks,
      average: inPercent(summary.average),
      averages: summary.averages.map(percent),
      passAtK: Object.fromEntries(Object.entries(summary.passAtK).map(([k, figure]) => [k, inPercent(figure)])),
      majority: summary.majority ? inPercent(summary.majority) : null,
      toolTurns: summary.toolTurns,
      toolSuccessRate: summary.toolSuccessRate ? inPercent(summary.toolSuccessRate) : null,
      responseTokens: summary.responseTokens,
      truncated: inPercent(summary.truncated),
    })),
  };
}

function inPercent({ mean, std }: Figure) {
  return { mean: percent(mean), std: std === undefined ? null : percent(std) };
}

/** The results in the paper's layout with its own figures beside them, then all figures of each benchmark, as Markdown. */
export function formatResults(model: string, settings: SamplingSettings, results: readonly Result[]): string {
  const { samples, runs, temperature, topP } = settings;
  const sampling = `${samples} samples a problem, ${runs} ${runs === 1 ? 'run' : 'runs'}, temperature ${temperature}, top-p ${topP}`;
  return [
    comparison(model, results),
    `average@${samples} in percent${runs > 1 ? ', ± standard deviation over the runs' : ''}; ${sampling}. The other rows are the paper's (average@32).`,
    details(settings, results),
    '',
  ].join('\n\n');
}

function comparison(model: string, results: readonly Result[]): string {
  const averages = results.map(({ summary }) => summary.average.mean);
  const own = [
    '',
    `**${model}**`,
    ...results.map(({ summary }) => `**${withDeviation(summary.average)}**`),
    ...(results.length > 1 ? [`**${percentText(mean(averages), 2)}**`] : []),
  ];
  const names = results.map(({ benchmark }) => benchmark.name);
  const published = names.some(name => name in publishedRows[0].averages) ? publishedRows : [];
  const rows = published.map(({ parameters, method, averages }) => {
    const figures = names.map(name => averages[name as PublishedBenchmark] as number | undefined);
    const all = figures.every(figure => figure !== undefined) ? mean(figures).toFixed(2) : '–';
    return [
      parameters,
      method,
      ...figures.map(figure => figure?.toFixed(2) ?? '–'),
      ...(names.length > 1 ? [all] : []),
    ];
  });
  const header = [
    'params',
    'method',
    ...results.map(({ benchmark }) => benchmark.title),
    ...(names.length > 1 ? ['average'] : []),
  ];
  return table(header, [...rows, own]);
}

function details({ samples }: SamplingSettings, results: readonly Result[]): string {
  const header = [
    '',
    'problems',
    `average@${samples}`,
    `pass@${samples}`,
    `maj@${samples}`,
    'tool calls',
    'tool success',
    'tokens',
    'truncated',
  ];
  const rows = results.map(({ benchmark, summary }) => [
    benchmark.title,
    String(summary.tasks),
    withDeviation(summary.average),
    withDeviation(summary.passAtK[samples]),
    summary.majority ? withDeviation(summary.majority) : '–',
    summary.toolTurns.mean.toFixed(1),
    summary.toolSuccessRate ? percentText(summary.toolSuccessRate.mean, 2) : '–',
    summary.responseTokens.mean.toFixed(0),
    percentText(summary.truncated.mean, 2),
  ]);
  return table(header, rows);
}

function withDeviation({ mean, std }: Figure): string {
  return percentText(mean, 2) + (std === undefined ? '' : ` ± ${percentText(std, 2)}`);
}

function table(header: string[], rows: string[][]): string {
  const lines = [header, header.map((_, i) => (i < 2 ? '---' : '--:')), ...rows];
  return lines.map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

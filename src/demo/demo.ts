import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CompareControl, type Evaluations, trainAndMeasure } from '../compare/compare.ts';
import { type Plan, readPlan } from '../compare/plan.ts';
import { writeFileWhole } from '../files.ts';
import { reportHtml } from '../report/html.ts';
import { compared, type DemoResults, demoReport, reportJson } from './report.ts';

export interface DemoOptions extends CompareControl {
  /** Folder of the demo: one run a stage and a method, and the report. */
  out: string;
  seed: number;
  /** The same path with too little training to mean anything. */
  smoke: boolean;
  /** Keep what is finished and go on where an earlier demo with the same recipes stopped. */
  resume: boolean;
}

const recipe = fileURLToPath(new URL('../../recipes/demo/compare.yaml', import.meta.url));

/** The comparison that the demo is. */
export function demoPlan({ out, seed, smoke }: Pick<DemoOptions, 'out' | 'seed' | 'smoke'>): Plan {
  return readPlan(recipe, out, {
    quick: smoke,
    seeds: [seed],
    stageSeed: seed,
    layout: { stage: name => join(out, name), method: name => join(out, `student-${name}`) },
  });
}

/** Trains and compares all that the demo's recipe names and writes its report; undefined if the signal came first. */
export async function runDemo(options: DemoOptions): Promise<DemoResults | undefined> {
  const { out, seed, smoke, resume } = options;
  const start = performance.now();
  const plan = demoPlan(options);
  const runs = [...plan.stages.map(({ runDir }) => runDir), ...plan.methods.map(({ name }) => plan.runDir(name, seed))];
  if (!resume) for (const run of runs) rmSync(run, { recursive: true, force: true });
  const evaluations = await trainAndMeasure(plan, options);
  if (!evaluations) return undefined;
  const seconds = (performance.now() - start) / 1000;
  const results: DemoResults = {
    evaluations: only(evaluations),
    settings: { ...plan.evaluation, seed },
    smoke,
    seconds,
  };
  writeFileWhole(join(out, 'report.json'), `${JSON.stringify(reportJson(results), null, 2)}\n`);
  writeFileWhole(join(out, 'report.html'), reportHtml(demoReport(results, out)));
  return results;
}

/** Of the one seed. */
function only(evaluations: Evaluations): DemoResults['evaluations'] {
  return Object.fromEntries(compared.map(name => [name, evaluations.get(name)![0]])) as DemoResults['evaluations'];
}

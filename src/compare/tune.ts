import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import { percentText } from '../report/numbers.ts';
import { type CompareControl, trainer, trainStages, untilStopped } from './compare.ts';
import { Measuring } from './measuring.ts';
import type { Plan } from './plan.ts';

/** How one method did at each learning rate, on validation tasks. */
export interface Tuned {
  method: string;
  /** By learning rate; averages in [0, 1]. */
  averages: { learningRate: number; average: number }[];
  /** The rule: the highest average; of equal ones, the lower rate. */
  best: number;
}

/**
 * Trains each method at each learning rate of the plan, with a seed and validation tasks that the comparison does not
 * use, and says which did best. Writes tune.json into `out`.
 * @throws UserError if the plan says nothing of tuning.
 * @returns undefined if the signal came first.
 */
export async function tune(plan: Plan, control: CompareControl & { out: string }): Promise<Tuned[] | undefined> {
  const { tuning } = plan;
  if (!tuning) throw new UserError('the comparison has no section tune, with learningRates, seed and tasks');
  const { learningRates, seed, ...settings } = tuning;
  return untilStopped(control.signal, async () => {
    const trained = trainer(control, plan.stages.length + plan.methods.length * learningRates.length);
    const measuring = await Measuring.of(plan, control);
    try {
      await trainStages(plan, trained);
      const results: Tuned[] = [];
      for (const { name } of plan.methods) {
        const averages: Tuned['averages'] = [];
        for (const learningRate of learningRates) {
          const label = `${name}, learning rate ${learningRate}`;
          const runDir = join(plan.root, 'tuning', name, String(learningRate));
          await trained(label, runDir, await plan.recipe(name, seed, { optimizer: { learningRate } }));
          const file = join(runDir, 'eval.json');
          const { average } = await measuring.evaluation(
            join(runDir, 'final'),
            { ...plan.evaluation, ...settings, seed },
            file,
            { signal: control.signal, onProgress: (done, total) => control.onEvaluation(label, done, total) },
          );
          averages.push({ learningRate, average });
        }
        const highest = Math.max(...averages.map(({ average }) => average));
        const best = Math.min(...averages.filter(a => a.average === highest).map(a => a.learningRate));
        results.push({ method: name, averages, best });
        writeFileWhole(join(control.out, 'tune.json'), `${JSON.stringify(results, null, 2)}\n`);
      }
      return results;
    } finally {
      await measuring.close();
    }
  });
}

/** For the terminal: a line a method, the best rate marked. */
export function formatTuned(results: readonly Tuned[]): string {
  const lines = results.map(({ method, averages, best }) => {
    const cells = averages.map(
      ({ learningRate, average }) =>
        `${learningRate.toExponential()}: ${percentText(average, 2)}${learningRate === best ? ' *' : ''}`,
    );
    return `${method.padEnd(16)}${cells.map(cell => cell.padEnd(16)).join('')}`;
  });
  return [...lines, '', '* chosen: the highest average on the validation tasks, of equal ones the lower rate'].join(
    '\n',
  );
}

import { basename, extname, join } from 'node:path';
import { Command } from 'commander';
import { UserError } from '../errors.ts';
import { percentText } from '../report/numbers.ts';
import type { TrainEvent } from '../train/trainEvent.ts';
import { type DeviceOption, deviceOption } from './deviceOption.ts';
import { interruptedExitCode, interruptible, savingNote } from './interrupt.ts';
import { collect } from './options.ts';
import { type McpOption, serversOf, withAllowMcp, withMcp } from './toolOption.ts';

interface Options extends McpOption, Partial<DeviceOption> {
  run?: string;
  resume?: string;
  set?: string[];
  dryRun?: boolean;
  watch?: boolean;
  allowMcp?: boolean;
}

export const trainCommand = () =>
  withAllowMcp(withMcp(new Command('train')))
    .description('Train a model as a recipe says.')
    .argument('[recipe]', 'YAML file, such as recipes/demo/student-sod.yaml')
    .option('--run <folder>', 'where the run is written (default: runs/<name of the recipe>)')
    .option('--resume <folder>', 'go on with the run in this folder, from its last checkpoint')
    .option('--set <key=value>', 'change a key of the recipe; may be given several times', collect)
    .addOption(deviceOption())
    .option('--dry-run', 'only say what the run would take: updates, tokens, computation, memory, downloads')
    .option('--watch', 'show it in a browser while it goes on, as sod watch does; the address is printed')
    .addHelpText(
      'after',
      `
Examples:
  sod train recipes/demo/teacher-sft.yaml
  sod train recipes/demo/student-sod.yaml --run runs/sod-2 --set seed=2 --set optimizer.learningRate=1e-4
  sod train --resume runs/sod-2
  sod train recipes/qwen3-0.6b/sod.yaml --dry-run
  sod train my-recipe.yaml --mcp office=http://127.0.0.1:3000/mcp     (in place of those of the recipe)

A run's folder holds recipe.yaml (every default written out), metrics.jsonl (a line an iteration), trajectories/
(what was sampled), checkpoints/ (to resume from) and, at the end, final/ (the model in Hugging Face layout); where the
recipe has evaluate, best/ is the model that did best so far, and metrics.jsonl has the curve.
Ctrl-C finishes the running update, saves and stops; twice stops at once. A run killed at any moment can be resumed
and reaches the same weights.`,
    )
    .action(async (file: string | undefined, options: Options) => {
      const [{ train }, { evaluationOf }, { loadRecipe }, { parseOverrides }, { readRecipe }, { Progress }, beside] =
        await Promise.all([
          import('../train/train.ts'),
          import('../train/evaluationMetrics.ts'),
          import('../train/recipe.ts'),
          import('../train/overrides.ts'),
          import('../train/runDirectory.ts'),
          import('./progress.ts'),
          import('./watchBeside.ts'),
        ]);
      if (!file === !options.resume)
        throw new UserError('give a recipe to start, or --resume <folder> to go on with a run');
      if (options.resume && (options.set || options.run || options.mcp))
        throw new UserError('--resume goes on with the recipe as it was: no --set, --run or --mcp');

      const recipe = options.resume
        ? readRecipe(options.resume)
        : await loadRecipe(
            file!,
            parseOverrides(options.set ?? []),
            options.mcp ? { mcp: await serversOf(options) } : {},
          );
      if (options.dryRun) {
        const [{ planTraining }, { formatPlan }, { onDevice }] = await Promise.all([
          import('../train/plan.ts'),
          import('../train/planText.ts'),
          import('../train/runEngine.ts'),
        ]);
        console.log(formatPlan(await planTraining(onDevice(recipe, options.device))));
        return;
      }
      const allowMcp = options.allowMcp || options.mcp !== undefined;
      const runDir = options.resume ?? options.run ?? join('runs', basename(file!, extname(file!)));
      const progress = new Progress();
      const watch = options.watch
        ? new beside.WatchBeside(runDir, notice => progress.show({ kind: 'notice', notice }))
        : undefined;
      const onProgress = (event: TrainEvent) => {
        progress.show(event);
        if (event.kind === 'phase') watch?.start();
      };
      const result = await interruptible(
        signal =>
          train(recipe, { runDir, resume: !!options.resume, device: options.device, allowMcp, signal, onProgress }),
        savingNote,
      ).finally(() => progress.close());

      if (result.stoppedBy) {
        console.log(`Stopped by its guard. The last good checkpoint is ${result.checkpoint}`);
        process.exitCode = 1;
      } else if (!result.finished) {
        console.log(`Stopped. Go on with: sod train --resume ${runDir}`);
        process.exitCode = interruptedExitCode;
      } else if (result.alreadyFinished) {
        console.log(`${runDir} is already finished. The model is in ${result.checkpoint}`);
      } else {
        console.log(`Finished. The model is in ${result.checkpoint}`);
      }
      const { best } = result;
      if (best && (result.finished || result.stoppedBy)) {
        const average = percentText(evaluationOf(best)!.average, 1);
        console.log(`Best in evaluations: iteration ${best.iteration}, ${average} %, in ${join(runDir, 'best')}`);
      }
    });

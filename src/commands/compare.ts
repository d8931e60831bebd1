import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { CompareControl } from '../compare/compare.ts';
import { type DeviceOption, deviceOption } from './deviceOption.ts';
import { interruptedExitCode, interruptible, savingNote } from './interrupt.ts';
import { seedNumber } from './options.ts';
import { withAllowMcp } from './toolOption.ts';

interface Options extends Partial<DeviceOption> {
  quick?: boolean;
  tune?: boolean;
  seeds?: number[];
  only?: string[];
  out: string;
  watch?: boolean;
  allowMcp?: boolean;
}

export const compareCommand = () =>
  withAllowMcp(new Command('compare'))
    .description('Train several methods from one checkpoint over several seeds, and compare them.')
    .argument('<comparison>', 'YAML file, such as recipes/world/compare.yaml')
    .option('--quick', 'less training and fewer tasks, as the file says')
    .option('--tune', "instead of comparing, train each method at the file's learning rates and say which is best")
    .option('--seeds <seeds>', "instead of the file's, such as 5,6", seedList)
    .option('--only <methods>', "only these of the file's methods, such as opd,sod", nameList)
    .option('--out <folder>', 'where everything is written', 'runs/compare')
    .addOption(deviceOption())
    .option('--watch', 'show it in a browser while it goes on, as sod watch does; the address is printed')
    .addHelpText(
      'after',
      `
Examples:
  sod compare recipes/world/compare.yaml --quick
  sod compare recipes/world/compare.yaml --seeds 5,6 --only opd,sod
  sod compare recipes/world/compare.yaml --tune

The folder holds table.json, table.md and report.html (written anew after each seed), and the runs: full/ or, with
--quick, quick/. Ctrl-C saves and stops; the same command goes on. What is finished is not trained or measured again.`,
    )
    .action(async (file: string, options: Options) => {
      const { quick = false, seeds, only, out, device } = options;
      const [{ compare }, { formatTuned, tune }, { readPlan }, { formatTable }, { runsProgress }] = await Promise.all([
        import('../compare/compare.ts'),
        import('../compare/tune.ts'),
        import('../compare/plan.ts'),
        import('../compare/table.ts'),
        import('./runsProgress.ts'),
      ]);
      const plan = readPlan(file, join(out, quick ? 'quick' : 'full'), { quick, seeds, only });
      const command = [
        `sod compare ${file}`,
        quick && '--quick',
        seeds && `--seeds ${seeds.join(',')}`,
        only && `--only ${only.join(',')}`,
        device && `--device ${device}`,
      ];
      const { close, ...progress } = runsProgress(options.watch ? out : undefined);
      const told = await interruptible(async signal => {
        const control: CompareControl = { signal, allowMcp: options.allowMcp, device, ...progress };
        if (options.tune) {
          const tuned = await tune(plan, { ...control, out });
          return tuned && formatTuned(tuned);
        }
        const rows = await compare(plan, { ...control, out, command: command.filter(Boolean).join(' ') });
        return rows && `${formatTable(rows, plan)}\n\nThe training in pictures: ${join(out, 'report.html')}`;
      }, savingNote).finally(close);
      if (told === undefined) process.exitCode = interruptedExitCode;
      console.log(told ?? 'Stopped. The same command goes on.');
    });

function seedList(text: string): number[] {
  return [...new Set(text.split(',').map(seedNumber))];
}

function nameList(text: string): string[] {
  const names = text.split(',').map(name => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('Names are separated by commas.');
  return names;
}

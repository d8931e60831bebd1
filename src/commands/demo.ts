import { join } from 'node:path';
import { Command } from 'commander';
import { type DeviceOption, deviceOption } from './deviceOption.ts';
import { interruptedExitCode, interruptible, savingNote } from './interrupt.ts';
import { seedNumber } from './options.ts';

interface Options extends Partial<DeviceOption> {
  seed: number;
  smoke?: boolean;
  resume?: boolean;
  out?: string;
  watch: boolean;
}

export const demoCommand = () =>
  new Command('demo')
    .description('The whole pipeline on this machine: a teacher, a smaller student, and what SOD makes of it.')
    .option('--seed <seed>', 'of everything random', seedNumber, 0)
    .option('--smoke', 'the same path in seconds, with too little training to mean anything')
    .option('--resume', 'keep what an earlier demo has finished, and go on where it stopped')
    .option('--out <folder>', 'where everything is written (default: runs/demo, or runs/demo-smoke)')
    .addOption(deviceOption())
    .option('--no-watch', 'without the page that shows it learn')
    .addHelpText(
      'after',
      `
Trains, in a small shop whose prices an agent must look up and add:
  a teacher            by SFT on an expert's dialogues, then by GRPO
  a smaller student    by a short SFT; from there once by OPD and once by SOD under the teacher
and compares all on held-out tasks. It is the comparison of recipes/demo/compare.yaml.

The comparison is printed and written to report.json; report.html shows the training as well.
Ctrl-C saves and stops; sod demo --resume goes on. Without --resume, an earlier demo in the folder is replaced.`,
    )
    .action(async (options: Options) => {
      const out = options.out ?? (options.smoke ? 'runs/demo-smoke' : 'runs/demo');
      const [{ runDemo }, { formatComparison }, { runsProgress }] = await Promise.all([
        import('../demo/demo.ts'),
        import('../demo/report.ts'),
        import('./runsProgress.ts'),
      ]);
      const { close, ...progress } = runsProgress(options.watch ? out : undefined);
      const { seed, smoke = false, resume = false, device } = options;
      const results = await interruptible(
        signal => runDemo({ out, seed, smoke, resume, device, signal, ...progress }),
        savingNote,
      ).finally(close);
      if (!results) {
        const same = [smoke && ' --smoke', device && ` --device ${device}`].filter(Boolean).join('');
        console.log(`Stopped. Go on with: sod demo --resume${same} --seed ${seed} --out ${out}`);
        process.exitCode = interruptedExitCode;
        return;
      }
      console.log(formatComparison(results));
      console.log(`\nThe training in pictures: ${join(out, 'report.html')}, and token by token: sod watch ${out}`);
    });

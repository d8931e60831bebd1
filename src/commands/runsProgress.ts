import type { CompareControl } from '../compare/compare.ts';
import { Progress } from './progress.ts';
import { showCount } from './showCount.ts';
import { WatchBeside } from './watchBeside.ts';

/**
 * The progress of a command that makes one run after another, and measures what came of them.
 * @param watched the folder of the runs, if they are to be shown in a browser
 */
export function runsProgress(
  watched?: string,
): Pick<CompareControl, 'onRun' | 'onProgress' | 'onEvaluation'> & { close(): void } {
  let run: Progress | undefined;
  const watch =
    watched === undefined
      ? undefined
      : new WatchBeside(watched, notice => (run ? run.show({ kind: 'notice', notice }) : console.error(notice)));
  const close = () => {
    run?.close();
    run = undefined;
  };
  return {
    onRun(name, index, total) {
      close();
      run = new Progress(`${index}/${total} ${name.padEnd(12)}`);
    },
    onProgress(event) {
      run?.show(event);
      if (event.kind === 'phase') watch?.start();
    },
    onEvaluation(name, done, total) {
      close();
      showCount(`measuring ${name}`, done, total);
    },
    close,
  };
}

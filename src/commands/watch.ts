import { setPriority } from 'node:os';
import { Command } from 'commander';
import { interruptible } from './interrupt.ts';
import { portNumber } from './options.ts';

interface Options {
  host: string;
  port: number;
}

export const watchCommand = () =>
  new Command('watch')
    .description('Look at runs in a browser, while they learn or afterwards: curves, trajectories, every token.')
    .argument('[folder...]', 'of a run, or folders that have runs in them (default: runs)')
    .option('--port <port>', 'port to listen on (default: any that is free)', portNumber, 0)
    .option('--host <address>', 'address to listen on; others than this machine can reach 0.0.0.0', '127.0.0.1')
    .addHelpText(
      'after',
      `
Examples:
  sod watch
  sod watch runs/demo --port 8080
  sod watch runs/sod runs/opd

Only reads what runs write: it can be started and closed at any time, and none waits for it.`,
    )
    .action(async (folders: string[], options: Options) => {
      const { watchRuns } = await import('../watch/watch.ts');
      const server = await watchRuns({ folders: folders.length > 0 ? folders : ['runs'], ...options });
      if (process.send) {
        setPriority(10); // beside a training, which comes first
        process.send(server.url);
      } else console.log(`${server.url}; Ctrl-C stops`);
      await interruptible(untilStopped);
      await server.close();
    });

/** Until Ctrl-C, or the end of the training beside which this was started. */
function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    process.once('disconnect', resolve);
  });
}

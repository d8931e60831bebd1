import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** A server of a model: `sod serve` with these arguments, see `startCommand`. */
export function startServer(...args: string[]): Promise<{ server: ChildProcess; url: string }> {
  return startCommand('serve', ...args);
}

/**
 * A command that listens, in a process of its own on a port that is free; it ends with this program at the latest.
 * @returns its process, and its address without a path
 */
export async function startCommand(...args: string[]): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.execPath, [cli, ...args, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => server.kill('SIGKILL'));
  for await (const line of createInterface({ input: server.stdout })) {
    const address = /https?:\/\/[^\s/,;]+/.exec(line);
    if (address) return { server, url: address[0] };
  }
  throw new Error('the server did not start');
}

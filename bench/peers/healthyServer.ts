import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const patienceMs = 120_000;

/**
 * Starts a server that says by `/health` when it is there; it ends with this process.
 * @returns its address
 * @throws Error where it ends, or does not answer within two minutes
 */
export async function healthyServer(program: string, args: string[], cwd: string, port: number): Promise<string> {
  // Its workers are processes of their own.
  const child = spawn(program, args, { cwd, stdio: 'ignore', detached: true });
  child.unref();
  process.once('exit', () => child.exitCode === null && process.kill(-child.pid!));
  const url = `http://127.0.0.1:${port}`;
  for (const began = Date.now(); Date.now() - began < patienceMs; await sleep(500)) {
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} has ended`);
    const isThere = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return url;
  }
  throw new Error(`${url} does not answer`);
}

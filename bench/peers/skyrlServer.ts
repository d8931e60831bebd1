import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { pythonWith } from './pythonWith.ts';

export const skyrlVersion = '0.4.0';
const port = 8231;
/** Of adapters on the server; one more slot is its base model's. */
const backend = { max_lora_adapters: 4, max_lora_rank: 4, train_micro_batch_size: 1, sample_max_num_sequences: 4 };

/**
 * SkyRL's server on JAX, installed from PyPI where it is not yet: 6 GB, for its adapters' library brings PyTorch with CUDA. It ends
 * with this program at the latest; its log and what it saves lie in `folder`.
 * @param model folder of the model that it serves
 * @returns its address; it answers some minutes later
 */
export function startSkyrl(folder: string, model: string): string {
  const python = install(folder);
  const state = join(folder, 'state');
  rmSync(state, { recursive: true, force: true });
  mkdirSync(state);
  const log = openSync(join(folder, 'server.log'), 'w');
  // The server starts its engine by the command line of its own parent, which has to be this one.
  const server = spawn(
    uvOf(folder),
    [
      ...['run', '--no-project', '--python', python, '-m', 'skyrl.tinker.api', '--base-model', model],
      ...['--backend', 'jax', '--backend-config', JSON.stringify(backend)],
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--database-url', `sqlite:///${join(state, 'tinker.db')}`, '--checkpoints-base', state],
    ],
    {
      env: {
        ...process.env,
        PATH: [dirname(uvOf(folder)), process.env.PATH].join(delimiter),
        VIRTUAL_ENV: join(folder, 'python'),
        JAX_PLATFORMS: 'cpu',
        HF_HUB_OFFLINE: '1',
        // What is compiled once is kept for the next time.
        JAX_COMPILATION_CACHE_DIR: join(folder, 'compiled'),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS: '0',
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES: '-1',
      },
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  closeSync(log);
  process.once('exit', () => server.exitCode === null && process.kill(-server.pid!, 'SIGKILL'));
  server.once('exit', () => {
    console.error(`SkyRL has ended, see ${join(folder, 'server.log')}`);
    process.exit(1);
  });
  return `http://127.0.0.1:${port}`;
}

/** @returns a Python of its own; it needs a newer one than others do, which uv finds or gets */
function install(folder: string): string {
  const python = join(folder, 'python/bin/python');
  const stamp = join(folder, `.installed-${skyrlVersion}`);
  if (existsSync(stamp)) return python;
  pythonWith(join(folder, 'uv'), 'uv');
  const uv = (...args: string[]) => execFileSync(uvOf(folder), args, { stdio: ['ignore', 2, 2] });
  uv('venv', '--clear', '--python', '3.12', join(folder, 'python'));
  // It imports aiohttp and does not say so.
  uv('pip', 'install', '--python', python, `skyrl[tinker,jax]==${skyrlVersion}`, 'aiohttp');
  mkdirSync(stamp);
  return python;
}

function uvOf(folder: string): string {
  return join(folder, 'uv/bin/uv');
}

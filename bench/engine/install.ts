import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { architecture, type Limit } from './limit.ts';

/** PyPI's PyTorch of today with transformers' Qwen3, or Debian's with a plain one. */
export const torchNames = ['current', 'debian'] as const;
export type TorchName = (typeof torchNames)[number];

export interface TorchProgram {
  title: string;
  command: readonly string[];
}

/** The programs that are compared, as command lines; each is installed when it is first asked for. */
export interface Programs {
  sod: readonly string[];
  readonly llama: readonly string[];
  readonly torch: Readonly<Record<TorchName, TorchProgram>>;
  readonly trl: TorchProgram;
  /** oneDNN, OpenBLAS and memory at their limits. */
  readonly products: readonly string[];
}

const peers = fileURLToPath(new URL('peers/', import.meta.url));
const debianPython = '/usr/bin/python3';

export function programs(limit?: Limit): Programs {
  const llama = once(() => [process.execPath, limit ? limitedLlama(limit) : unlimitedLlama()]);
  const python = once(currentPython);
  const debian = once(debianTorch);
  const products = once(() => [compiledProducts(limit)]);
  return {
    sod: [process.execPath, '--import', 'tsx', join(peers, 'sod.ts')],
    get llama() {
      return llama();
    },
    torch: {
      get current() {
        return { title: 'PyTorch', command: [python(), join(peers, 'torch_qwen3.py'), 'transformers_qwen3'] };
      },
      get debian() {
        return { title: "Debian's PyTorch", command: [debian(), join(peers, 'torch_qwen3.py'), 'plain_qwen3'] };
      },
    },
    get trl() {
      return { title: 'TRL', command: [python(), join(peers, 'trl_distillation.py')] };
    },
    get products() {
      return products();
    },
  };
}

/** Installs llama.cpp from npm where it is missing: beside the peers, for it is as large as everything else together. */
export function installLlama(): void {
  if (existsSync(join(peers, 'node_modules/node-llama-cpp'))) return;
  run('npm', ['install', '--no-save', '--ignore-scripts'], { cwd: peers });
}

function unlimitedLlama(): string {
  installLlama();
  return join(peers, 'llama.js');
}

/**
 * llama.cpp takes the best of its builds for single CPUs that the machine can run, and has no switch for it: a copy of its package
 * without the builds for larger ones. What else it needs is found in the folder above.
 */
function limitedLlama(limit: Limit): string {
  installLlama();
  const folder = join(peers, 'build', limit);
  const fits = /(x64|sse42|sandybridge|ivybridge|piledriver|haswell)\.so$/;
  for (const name of ['node-llama-cpp', '@node-llama-cpp/linux-x64']) {
    cpSync(join(peers, 'node_modules', name), join(folder, 'node_modules', name), {
      recursive: true,
      filter: path => !path.includes('libggml-cpu-') || fits.test(path),
    });
  }
  copyFileSync(join(peers, 'package.json'), join(folder, 'package.json'));
  copyFileSync(join(peers, 'llama.js'), join(folder, 'llama.js'));
  return join(folder, 'llama.js');
}

/** Debian's PyTorch belongs to Debian's Python. */
function debianTorch(): string {
  if (!succeeds(debianPython, ['-c', 'import torch'])) installPackages('python3-torch');
  return debianPython;
}

/** Whether there is a GPU that PyTorch computes on. */
export function hasCuda(): boolean {
  return succeeds('nvidia-smi', ['-L']);
}

/** A Python with the packages of `requirements.txt`: 6 GB, for PyPI's PyTorch needs its CUDA libraries on a CPU too. */
export function currentPython(): string {
  const folder = join(peers, 'python');
  const python = join(folder, 'bin/python');
  const wanted = readFileSync(join(peers, 'requirements.txt'), 'utf8');
  const stamp = join(folder, '.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return python;
  if (!succeeds(debianPython, ['-c', 'import ensurepip'])) installPackages('python3-venv');
  run(debianPython, ['-m', 'venv', folder]);
  run(python, ['-m', 'pip', 'install', '--quiet', '-r', join(peers, 'requirements.txt')]);
  writeFileSync(stamp, wanted);
  return python;
}

/** `products.cpp`, compiled where it is not or is older than its source. */
function compiledProducts(limit?: Limit): string {
  const source = join(peers, 'products.cpp');
  const folder = join(peers, 'build', architecture(limit));
  const program = join(folder, 'products');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  const headers = ['dnnl.hpp', 'cblas.h'].every(header =>
    succeeds('g++', ['-E', '-include', header, '-x', 'c++', '/dev/null']),
  );
  if (!headers) installPackages('g++', 'libdnnl-dev', 'libopenblas-pthread-dev');
  mkdirSync(folder, { recursive: true });
  const flags = ['-std=c++17', '-O3', '-fopenmp', `-march=${architecture(limit)}`];
  run('g++', [...flags, source, '-o', program, '-ldnnl', '-lopenblas']);
  return program;
}

function installPackages(...names: string[]): void {
  const root = process.getuid?.() === 0 ? [] : ['sudo'];
  const apt = (...args: string[]) => {
    const [program, ...rest] = [...root, 'apt-get', '-qq', ...args];
    run(program, rest);
  };
  apt('update');
  apt('install', '--yes', '--no-install-recommends', ...names);
}

function run(program: string, args: string[], { cwd }: { cwd?: string } = {}): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 2, 2] });
}

function succeeds(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function once<T extends string | readonly string[]>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

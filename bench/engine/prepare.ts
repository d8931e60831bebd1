import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeGguf } from '../../src/gguf/write.ts';
import { readCheckpoint } from '../../src/model/checkpoint.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';

/** What is measured: models with random weights in every format that the peers read. */
export interface Models {
  /** Qwen3-0.6B's shape. */
  large: string;
  largeGguf: string;
  /** About a million parameters, as in the demo. */
  small: string;
}

const peers = fileURLToPath(new URL('peers/', import.meta.url));

/** Installs llama.cpp from npm where it is missing: beside the peers, for it is as large as everything else together. */
export function installLlama(): void {
  if (existsSync(join(peers, 'node_modules/node-llama-cpp'))) return;
  execFileSync('npm', ['install', '--no-save', '--ignore-scripts'], { cwd: peers, stdio: ['ignore', 2, 2] });
}

/** Installs the peers where they are missing: PyTorch from Debian, llama.cpp from npm. */
export function installPeers(): void {
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import torch'], { stdio: 'ignore' });
  } catch {
    const root = process.getuid?.() === 0 ? [] : ['sudo'];
    const install = [...root, 'apt-get', 'install', '-y', '--no-install-recommends', 'python3-torch'];
    execFileSync(install[0], install.slice(1), { stdio: ['ignore', 2, 2] });
  }
  installLlama();
}

/** Writes the models under `folder` where they are missing. */
export async function prepareModels(folder: string): Promise<Models> {
  mkdirSync(folder, { recursive: true });
  const models = {
    large: join(folder, 'qwen3-0.6b'),
    largeGguf: join(folder, 'qwen3-0.6b.gguf'),
    small: join(folder, 'demo-sized'),
  };
  if (!existsSync(models.large)) await writeRandomQwen3(models.large);
  if (!existsSync(models.small)) await writeRandomQwen3(models.small, demoSized);
  if (!existsSync(models.largeGguf)) {
    const checkpoint = readCheckpoint(models.large);
    try {
      await writeGguf(models.largeGguf, checkpoint, { name: 'random' });
    } finally {
      checkpoint.close();
    }
  }
  return models;
}

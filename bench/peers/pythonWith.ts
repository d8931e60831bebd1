import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** A Python of its own in a folder, with packages from PyPI; installed once. @returns its program */
export function pythonWith(folder: string, ...packages: string[]): string {
  if (!existsSync(join(folder, 'installed'))) {
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
    execFileSync(join(folder, 'bin/pip'), ['install', '--quiet', ...packages], { stdio: 'inherit' });
    mkdirSync(join(folder, 'installed'));
  }
  return join(folder, 'bin/python');
}

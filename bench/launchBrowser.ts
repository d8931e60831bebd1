import { execFileSync } from 'node:child_process';
import { type Browser, chromium } from 'playwright-core';

/** The browser that `setup.sh --tests` looks for. */
export function launchBrowser(): Promise<Browser> {
  const name = process.env.CHROMIUM ?? 'chromium';
  const path = execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
  return chromium.launch({ executablePath: path });
}

/**
 * Takes the pictures of `docs/watch.md`: each page of `sod watch`, wide and light, narrow and dark, over the runs of the demo, or of
 * another comparison of methods; and that of the README, the beginning of their report.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { launchBrowser } from '../launchBrowser.ts';
import { startCommand } from '../startServer.ts';

const out = 'docs/watch';
const folder = process.argv[2] ?? 'runs/demo';
const looks: Record<string, BrowserContextOptions> = {
  wide: { viewport: { width: 1280, height: 520 }, colorScheme: 'light' },
  narrow: { viewport: { width: 390, height: 560 }, colorScheme: 'dark' },
};

/** From the list of runs to a token, one page after another. */
async function walk(page: Page, picture: (name: string) => Promise<void>): Promise<void> {
  await page.getByRole('listitem').first().waitFor();
  await picture('runs');
  for (const method of ['sod', 'opd']) await page.getByRole('checkbox', { name: new RegExp(`${method}$`) }).check();
  await page.getByRole('link', { name: 'Lay 2 over each other' }).click();
  await page.locator('canvas').first().waitFor();
  await picture('compare');
  await page.getByRole('link', { name: /Take .*opd away/ }).click();
  await page.getByRole('heading', { name: /sod$/ }).waitFor();
  await picture('run');
  await page.getByRole('link', { name: 'Trajectories' }).click();
  await page.getByLabel('Pattern').selectOption('recovery');
  await page.getByLabel('Order').selectOption('divergence');
  const first = page.getByRole('listbox').getByRole('option').first();
  await first.getByText('recovery').waitFor();
  await picture('trajectories');
  await first.click();
  await page.getByRole('region', { name: 'Tokens of step 1' }).press('ArrowRight');
  await picture('trajectory');
  await page.getByRole('link', { name: 'Chat' }).click();
  await page.getByRole('button', { name: 'Let the task ask' }).click();
  await page.getByRole('region', { name: 'Tokens of step 1' }).press('ArrowRight');
  await picture('chat');
}

const { server, url } = await startCommand('watch', folder);
const browser = await launchBrowser();
mkdirSync(out, { recursive: true });
for (const [look, options] of Object.entries(looks)) {
  const page = await browser.newPage(options);
  await page.goto(url);
  await walk(page, name => picture(page, join(out, `${name}-${look}.png`)));
}
const report = await browser.newPage({ viewport: { width: 1100, height: 1500 }, colorScheme: 'light' });
await report.goto(pathToFileURL(resolve(folder, 'report.html')).href);
await report.locator('canvas').first().waitFor();
await picture(report, 'docs/demo.png');
await browser.close();
server.kill('SIGKILL');

async function picture(page: Page, path: string): Promise<void> {
  await page.waitForLoadState('load');
  await page.screenshot({ path, animations: 'disabled', caret: 'initial' });
  console.log(`${path}: ${statSync(path).size} bytes`);
}

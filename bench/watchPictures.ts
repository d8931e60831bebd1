/**
 * Takes the pictures of `docs/watch.md`: each page of `sod watch`, wide and narrow, over the runs that `examples/train.ts` makes,
 * or those in another folder.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { launchBrowser } from './launchBrowser.ts';
import { startCommand } from './startServer.ts';

const out = 'docs/watch';
const folder = process.argv[2] ?? 'runs/office';
/** All pictures together are to stay small: of the narrow ones one is enough. */
const looks: Record<string, BrowserContextOptions & { pages: string[] }> = {
  wide: {
    viewport: { width: 1280, height: 520 },
    colorScheme: 'light',
    pages: ['runs', 'run', 'trajectories', 'trajectory'],
  },
  narrow: { viewport: { width: 390, height: 560 }, colorScheme: 'dark', pages: ['trajectory'] },
};

/** From the list of runs to a token, one page after another. */
async function walk(page: Page, picture: (name: string) => Promise<void>): Promise<void> {
  await page.getByRole('listitem').first().waitFor();
  await picture('runs');
  await page.getByRole('link', { name: 'student-sod' }).click();
  await page.locator('canvas').first().waitFor();
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
}

const { server, url } = await startCommand('watch', folder);
const browser = await launchBrowser();
mkdirSync(out, { recursive: true });
for (const [look, { pages, ...options }] of Object.entries(looks)) {
  const page = await browser.newPage(options);
  await page.goto(url);
  await walk(page, async name => {
    if (!pages.includes(name)) return;
    await page.evaluate('scrollTo(0, 0)');
    const path = join(out, `${name}-${look}.png`);
    await page.screenshot({ path, animations: 'disabled', caret: 'initial' });
    console.log(`${path}: ${statSync(path).size} bytes`);
  });
}
await browser.close();
server.kill('SIGKILL');

/**
 * `sod watch` over a run of 100,000 trajectories, and beside a training: `npm run bench:watch`, some 10 minutes. How soon lists, filters and
 * what is searched for are there, what memory the server takes, and whether a run that 20 pages watch is as fast as one that none does.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { positiveInteger } from '../../src/commands/options.ts';
import type { Runs } from '../../src/watch/api.ts';
import { median } from '../engine/median.ts';
import { launchBrowser } from '../launchBrowser.ts';
import { startCommand } from '../startServer.ts';
import { rareWord, writeLargeRun } from './largeRun.ts';
import { watchedTraining } from './training.ts';

const { count, pairs } = new Command('bench:watch')
  .option('--count <number>', 'trajectories', positiveInteger, 100_000)
  .option('--pairs <number>', 'of trainings, with and without pages', positiveInteger, 5)
  .parse()
  .opts<{ count: number; pairs: number }>();

const filters = [
  ['Pattern', 'recovery'],
  ['Order', 'divergence'],
] as const;

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const folder = join('runs/bench/watch', String(count));
writeLargeRun(folder, count);

const { server, url } = await startCommand('watch', folder);
const browser = await launchBrowser();
const page = await browser.newPage();
await timed('the page of runs', async () => {
  await page.goto(url);
  await page.getByRole('listitem').first().waitFor();
});
await timed('the list of trajectories, nothing of which is in memory', async () => {
  await page.getByRole('link', { name: 'Trajectories' }).click();
  await page.getByRole('listbox').getByRole('option').first().waitFor();
});
for (const [label, choice] of filters) {
  await timed(`a filter, ${label}: ${choice}`, async () => {
    const answer = page.waitForResponse(/\/trajectories\?/);
    await page.getByLabel(label).selectOption(choice);
    await (await answer).finished();
  });
}
const [run] = ((await (await fetch(`${url}/api/runs`)).json()) as Runs).runs;
await timed('the first hit of a word that one in 2,000 has, from the server', async () => {
  const { body } = await fetch(`${url}/api/runs/${run.id}/search?text=${rareWord}`);
  await body!.getReader().read();
});
await timed('and on the page', async () => {
  await page.getByRole('searchbox').fill(rareWord);
  await page.getByText(rareWord).first().waitFor();
});
await browser.close();
console.log(`server     ${(peakBytes(server.pid!) / 2 ** 20).toFixed(0)} MiB at most`);
server.kill();

const ratios: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  const [alone, watched] = [await watchedTraining(0), await watchedTraining(20)];
  ratios.push(watched / alone);
  console.log(`training   ${alone.toFixed(1)} s, ${watched.toFixed(1)} s with 20 pages`);
}
console.log(
  `training   takes ${median(ratios).toFixed(3)} of the time that it takes unwatched, median of ${pairs} pairs`,
);

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await work();
  console.log(`${(performance.now() - start).toFixed(0).padStart(5)} ms   ${what}`);
}

/** Of a process, by what Linux tells. */
function peakBytes(pid: number): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kibibytes) * 1024;
}

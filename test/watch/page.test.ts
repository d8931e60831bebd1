import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchBrowser } from '../../bench/launchBrowser.ts';
import { train } from '../../src/train/train.ts';
import type { Runs } from '../../src/watch/api.ts';
import { watchRuns } from '../../src/watch/watch.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { hostileText, smallRun, writeToldRun } from './smallRun.ts';

const root = temporaryFolder(afterAll);
const runDir = join(root, 'runs', 'small');
const toldDir = join(root, 'runs', 'told');
let goOn: () => Promise<unknown>;
let page: Page;
let url: string;
const wrong: string[] = [];
const patiently = { timeout: 20_000 };

beforeAll(async () => {
  const small = await smallRun(root);
  const stop = new AbortController();
  await train(small, {
    runDir,
    signal: stop.signal,
    onProgress: event => event.kind === 'iteration' && event.metrics.iteration === 2 && stop.abort(),
  });
  writeToldRun(toldDir, small);
  const rows = [{ method: 'sod', average: 61.5, std: 2.5, passAtK: 70, majorityAtK: null }];
  writeFileSync(join(root, 'runs', 'table.json'), JSON.stringify({ rows }));
  goOn = () => train(small, { runDir, resume: true });
  const server = await watchRuns({ folders: [join(root, 'runs')] });
  url = server.url;
  const browser = await launchBrowser();
  page = await browser.newPage();
  page.setDefaultTimeout(patiently.timeout);
  page.on('pageerror', error => wrong.push(error.message));
  page.on('console', message => message.type() === 'error' && wrong.push(message.text()));
  page.on('request', request => !request.url().startsWith(url) && wrong.push(request.url()));
  return async () => {
    await browser.close();
    await server.close();
  };
});

/** Nothing goes wrong in the browser, and it asks nobody but its server. */
afterEach(() => expect(wrong.splice(0)).toEqual([]));

/** The address of a page of a run. */
async function placeOf(what: string, run: string): Promise<string> {
  const { runs } = (await (await fetch(`${url}/api/runs`)).json()) as Runs;
  return `${url}/#/${what}?run=${runs.find(({ name }) => name.endsWith(run))!.id}`;
}

test('from the runs to a token: a run in progress grows on the page', async () => {
  await page.goto(url);
  const card = page.getByRole('listitem').filter({ hasText: 'small' });
  await card.getByText('2 of 4 iterations').waitFor();
  await card.getByRole('link', { name: 'small' }).click();
  await page.getByRole('heading', { name: 'runs/small' }).waitFor();
  const chart = page.getByRole('slider', { name: /^Reverse KL/ });
  expect(await chart.getAttribute('aria-valuemax')).toBe('4');
  await Promise.all([goOn(), page.getByText('finished, 4 of 4').waitFor()]);
  await expect.poll(() => chart.getAttribute('aria-valuemax'), patiently).toBe('8');
  const valuesOf = (name: RegExp) => page.getByRole('slider', { name }).getAttribute('aria-valuetext');
  expect(await valuesOf(/^Where the time went/)).toMatch(/^last: rollout [\d.]+, teacher [\d.]+, update [\d.]+$/);
  expect(await valuesOf(/^Who worked/)).toMatch(/^last: policy \d+ %, teacher \d+ %, trainer \d+ %$/);

  await page.getByRole('link', { name: 'Trajectories' }).click();
  await page.getByText('32 trajectories').waitFor();
  await page.getByRole('listbox').getByRole('option').first().click();
  await page.getByRole('heading', { name: /^Trajectory/ }).waitFor();
  await page.getByRole('region', { name: 'Tokens of step 1' }).press('ArrowRight');
  await page.getByText(/student .* %, teacher .* %, q − s .* nats/).waitFor();
});

test('runs are laid over each other, and a comparison has its table', async () => {
  await page.goto(url);
  await page.getByRole('row', { name: 'sod 61.5 ± 2.5 70.0 –' }).waitFor();
  for (const name of ['small', 'told']) await page.getByLabel(`Choose runs/${name}`).check();
  await page.getByRole('link', { name: 'Lay 2 over each other' }).click();
  await page.getByRole('heading', { name: '2 runs' }).waitFor();
  const reward = page.getByRole('slider', { name: /^Reward/ });
  const values = () => reward.getAttribute('aria-valuetext');
  await expect.poll(values, patiently).toMatch(/^last: runs\/small -?\d\S*, runs\/told 1$/);
  await page.getByRole('link', { name: 'Take runs/small away' }).click();
  await page.getByRole('heading', { name: 'runs/told' }).waitFor();
});

test('people talk to a model of a run, and see what the teacher thinks of each token', async () => {
  await page.goto(await placeOf('chat', 'small'));
  await page.getByRole('textbox', { name: 'Your message' }).fill('Say 3 and again.');
  await page.getByRole('textbox', { name: 'Your message' }).press('Enter');
  await page.getByRole('region', { name: 'Tokens of step 1' }).press('ArrowRight');
  await page.getByText(/student .* %, teacher .* %, q − s .* nats/).waitFor();
  await page.getByRole('button', { name: 'Let the task ask' }).click();
  await page.getByText(/^Task test\/0: (right|wrong)/).waitFor();
});

test('a long list is filtered, searched and walked through by keys, and its address keeps what was chosen', async () => {
  await page.goto(await placeOf('trajectories', 'told'));
  await page.getByText('2,003 trajectories').waitFor();
  const list = page.getByRole('listbox', { name: /^Trajectories/ });
  const options = list.getByRole('option');
  expect(await options.count()).toBeLessThan(60);
  await list.press('End');
  await list.getByText('task 0').waitFor();
  expect(await options.count()).toBeLessThan(60);

  await page.getByLabel('Pattern').selectOption('recovery');
  await page.getByText('1 trajectory').waitFor();
  await page.getByRole('button', { name: 'Show all' }).press('Enter');
  await page.getByText('2,003 trajectories').waitFor();
  await page.getByLabel('Order').selectOption('divergence');
  await expect.poll(() => options.first().textContent(), patiently).toContain('largest d 0.900');

  await page.getByLabel(/^Search/).fill('VERY special');
  await page.getByText('1 found', { exact: true }).waitFor();
  await list.getByText('a very special answer').waitFor();
  await page.reload();
  await list.getByText('a very special answer').waitFor();
  await list.press('Enter');
  await page.getByRole('heading', { name: 'Trajectory special' }).waitFor();
});

test('a trajectory shows where its weight fell and returned, and another attempt beside it', async () => {
  await page.goto(`${await placeOf('trajectory', 'told')}&iteration=2&index=0`);
  await page
    .getByRole('button', { name: 'Step 2, weight 0.20, divergence 0.900, the weight fell, tool error' })
    .press('Enter');
  const step = page.getByRole('listitem').filter({ hasText: 'step 2' }).first();
  expect(await page.locator(':focus').innerText()).toMatch(/^step 2/);
  await step.getByText('↓ fell').waitFor();
  await page.getByText('↑ returned').waitFor();
  const tokens = page.getByRole('region', { name: 'Tokens of step 2' });
  await tokens.getByText('bad').hover();
  const numbers = "“bad”: student 61 %, teacher 8.2 %, q − s −2.00 nats; the teacher's likeliest: “good” 82 %";
  await page.getByText(numbers).waitFor();

  await page.getByRole('button', { name: 'Beside' }).click();
  await page.getByRole('region', { name: 'iteration 2, attempt 2' }).getByText('another way').waitFor();
});

test('whatever models and tools say is text, and nothing of it is hidden', async () => {
  await page.goto(`${await placeOf('trajectory', 'told')}&iteration=2&index=2`);
  await page.getByRole('heading', { name: '<img src=x onerror=alert(1)>' }).waitFor();
  const main = page.getByRole('main');
  expect(await main.locator('img, script').count()).toBe(0);
  expect(await main.textContent()).toContain('<script>alert(1)</script>␛[31mred⟨U+202E⟩');
  await page.getByRole('button', { name: /show all 1,\d{3},\d{3} characters/ }).click();
  await expect.poll(async () => (await main.textContent())!.length, patiently).toBeGreaterThan(hostileText.length);
  await page.goto(`${await placeOf('trajectories', 'told')}&text=${encodeURIComponent('<SCRIPT>')}`);
  await page.getByText('<script>alert(1)</script>␛[31m').waitFor();
});

test('it follows the system or the reader in light and dark, and fits on a small screen', async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(url);
  const colour = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  await page.getByRole('listitem').first().waitFor();
  await expect.poll(colour, patiently).toBe('rgb(21, 23, 28)');
  await page.emulateMedia({ colorScheme: 'light' });
  await expect.poll(colour, patiently).toBe('rgb(251, 250, 248)');
  await page.getByLabel('Colours').selectOption('dark');
  await expect.poll(colour, patiently).toBe('rgb(21, 23, 28)');

  const places = [url, await placeOf('run', 'small'), await placeOf('trajectories', 'told')];
  for (const place of [...places, `${await placeOf('trajectory', 'told')}&iteration=2&index=2&beside=2/0`]) {
    await page.goto(place);
    await page.locator('.card, .row, canvas').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  }
});

test('a chart is read by keys, and a run that goes away is said to be gone', async () => {
  await page.goto(await placeOf('run', 'told'));
  const chart = page.getByRole('slider', { name: /^Reward/ });
  await chart.press('ArrowRight');
  await chart.press('ArrowLeft');
  await expect.poll(() => chart.getAttribute('aria-valuetext'), patiently).toMatch(/^update 1: runs\/told 0.5/);
  await chart.press('Escape');
  await page.getByText('Recipe').click();
  await page.getByText('method: sod').waitFor();

  rmSync(toldDir, { recursive: true });
  await page.getByText('its folder is gone').waitFor();
  await page.getByRole('link', { name: 'Runs' }).click();
  await page.getByText('cannot be read').waitFor();
});

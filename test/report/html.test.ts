import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchBrowser } from '../../bench/launchBrowser.ts';
import { chartsTogether, type DrawnRun, stepCharts } from '../../src/report/charts.ts';
import { reportHtml } from '../../src/report/html.ts';
import { chartSection, type Report } from '../../src/report/report.ts';
import type { Metrics } from '../../src/train/runDirectory.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const hostile = '</script><script>document.title = "taken"</script><!--<script>\u202e<img src=x onerror=alert(1)>';
const steps = [1, 2].map(mean => ({ count: 2, mean: mean / 10, p10: 0, median: mean / 10, p90: 1 }));

function run(name: string, color: string, ...seeds: number[][]): DrawnRun {
  const line = (reward: number, i: number): Metrics => ({
    iteration: i + 1,
    update: i + 1,
    reward,
    accuracy: reward / 2,
    divergenceByStep: steps,
  });
  return { name, color, seeds: seeds.map(rewards => rewards.map(line)) };
}

const sod = run('sod', 'sod', [0, 0.5, 1], [1, 0.5, 0]);
const report: Report = {
  title: `Comparison of ${hostile}`,
  headline: `sod: 61.5 %; ${hostile}`,
  about: 'All start from the same.',
  settings: `Made by sod compare ${hostile}`,
  table: {
    head: ['method', 'average@4', 'pass@4'],
    rows: [
      { name: 'sod', color: 'sod', average: 61.5, error: 2.5, cells: ['61.50 ± 2.50', '70.00'], isBest: true },
      { name: hostile, color: 'vanilla', average: 0, error: 0, cells: ['0.00', '–'] },
    ],
    note: 'The best is set in bold.',
  },
  sections: [
    ...chartSection('Training', 'Mean over the seeds.', chartsTogether([sod, run(hostile, 'opd', [0.25])])),
    ...chartSection('Steps', undefined, stepCharts(sod)),
    ...chartSection('Nothing', 'is drawn of what no run has.', [
      { title: 'Empty', xLabel: 'step', lines: [{ name: 'none', color: 'sod', points: [] }] },
    ]),
    {
      title: 'Trajectories',
      trajectories: [
        {
          task: hostile,
          sample: 0,
          reward: 1,
          correct: true,
          end: 'answer',
          pattern: 'recovery',
          prompt: `<|im_start|>user\nDo ${hostile}.<|im_end|>`,
          steps: [
            {
              text: 'bad',
              tokens: ['bad', hostile],
              logprobs: [-0.5, -0.1],
              gaps: [-2, 0],
              alternatives: [
                [
                  ['good', -0.2],
                  ['\n', -2],
                ],
                [['bad', -1]],
              ],
              divergence: 0.9,
              weight: 0.2,
              observation: hostile,
              error: 'exception',
            },
          ],
        },
      ],
    },
  ],
};

const patiently = { timeout: 20_000 };
const file = join(temporaryFolder(afterAll), 'report.html');
const url = pathToFileURL(file).href;
let page: Page;
const wrong: string[] = [];

beforeAll(async () => {
  writeFileSync(file, reportHtml(report));
  const browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 360, height: 640 }, colorScheme: 'dark' });
  page.setDefaultTimeout(patiently.timeout);
  page.on('pageerror', error => wrong.push(error.message));
  page.on('console', message => message.type() === 'error' && wrong.push(message.text()));
  page.on(
    'request',
    request => request.url() !== url && !request.url().startsWith('data:') && wrong.push(request.url()),
  );
  await page.goto(url);
  return () => browser.close();
});

/** Nothing goes wrong in the browser, and it asks nobody. */
afterEach(() => expect(wrong.splice(0)).toEqual([]));

test('a report is one file: results with their errors, curves with their bands, read by keys', async () => {
  await page.getByRole('row', { name: 'sod 61.50 ± 2.50 70.00' }).waitFor();
  expect(await page.locator('tr.best').count()).toBe(1);
  expect(await page.locator('.bar-cell .error').first().getAttribute('width')).toBe('5');
  const chart = page.getByRole('slider', { name: 'Reward, by updates' });
  expect(await chart.getAttribute('aria-valuetext')).toMatch(/^last: sod 0.5, <\/script>/);
  for (let i = 0; i < 3; i++) await chart.press('ArrowLeft');
  await expect.poll(() => chart.getAttribute('aria-valuetext'), patiently).toMatch(/^update 1: sod 0.5, .* 0.25$/);
  await page.getByRole('slider', { name: 'Divergence d by step, by step' }).waitFor();
  expect(await page.getByRole('heading', { level: 2 }).allTextContents()).toEqual([
    'Training',
    'Steps',
    'Trajectories',
  ]);
});

test("a trajectory is read step by step, with what the teacher would have said in a token's place", async () => {
  await page.getByRole('heading', { name: 'Drifted away and came back' }).waitFor();
  await page.getByRole('region', { name: 'Tokens of step 1' }).press('ArrowRight');
  const numbers =
    "“bad”: student 61 %, teacher 8.2 %, q − s −2.00 nats; the teacher's likeliest: “good” 82 %, “↵” 14 %";
  await page.getByText(numbers, { exact: true }).waitFor();
  expect(await page.locator('.tokens .less').count()).toBe(1);
});

test('what methods, models and tools are called and say is text, and no script runs but its own', async () => {
  expect(await page.title()).toMatch(/^Comparison of <\/script>/);
  const main = page.getByRole('main');
  expect(await main.locator('img, script').count()).toBe(0);
  expect((await main.textContent())!.split('</script><script>').length).toBeGreaterThan(8);
  const ran = await page.evaluate(`
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = "taken"' }));
    document.title`);
  expect(ran).not.toBe('taken');
  expect(wrong.splice(0)).toEqual([expect.stringMatching(/violates the following Content Security Policy directive/)]);
});

test('it follows the system or the reader in light and dark, and fits on a small screen', async () => {
  const colour = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  expect(await colour()).toBe('rgb(21, 23, 28)');
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  await page.getByLabel('Colours').selectOption('light');
  await expect.poll(colour, patiently).toBe('rgb(251, 250, 248)');
});

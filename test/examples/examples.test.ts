import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

/** The programs write to `runs` where they are started: here, a folder in which everything else is the project's. */
const cwd = mkdtempSync(join(tmpdir(), 'sod-examples-'));
for (const name of ['examples', 'node_modules', 'dist', 'native', 'package.json', 'tsconfig.json']) {
  symlinkSync(join(root, name), join(cwd, name));
}
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const readme = readFileSync(join(root, 'examples/README.md'), 'utf8');
const commands = [...readme.matchAll(/^(npx tsx .*?)\s*#/gm)].map(match => match[1]);

async function example(name: string): Promise<string> {
  const command = commands.find(command => command.endsWith(name));
  expect(command, `a command of the README that runs ${name}`).toBeDefined();
  const { stdout } = await run('bash', ['-c', command!], { cwd });
  return stdout;
}

test('what is asked before there is a student names the command that makes one', async () => {
  await expect(example('ask.ts')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('run npx tsx examples/train.ts first'),
  });
});

test('an agent is trained on tools of its own, as the README says', { timeout: 400_000 }, async () => {
  const table = await example('train.ts');
  const average = (name: string) => Number(new RegExp(`^${name} +average@4 +([\\d.]+)`, 'm').exec(table)?.[1]);
  expect(average('teacher')).toBeGreaterThan(90);
  expect(average('student, SFT')).toBeGreaterThan(60);
  expect(average('student, SOD')).toBeGreaterThan(average('student, SFT') + 3);
});

test('the served student answers the AI SDK with the same tools', { timeout: 120_000 }, async () => {
  const answers = await example('ask.ts');
  expect(answers).toMatch(/^ {2}manager\(\{"name":"\w+"\}\) → \w+$/m);
  const judged = answers.match(/(right|wrong)$/gm)!;
  expect(judged).toHaveLength(7);
  expect(judged.filter(word => word === 'right').length).toBeGreaterThanOrEqual(5);
});

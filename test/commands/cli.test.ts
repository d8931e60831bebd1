import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cli } from '../cli.ts';

const tinyModel = fileURLToPath(new URL('../vectors/qwen3-tiny-tied', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sod-cli-'));

const sod = (...args: string[]) => sodIn('.', ...args);

function sodIn(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function recipe(text: string): string {
  const file = join(mkdtempSync(join(folder, 'recipe-')), 'recipe.yaml');
  writeFileSync(file, text);
  return file;
}

/** Exit code 1, one line on stderr, nothing on stdout. */
function refusal(...args: string[]): string {
  const { status, stdout, stderr } = sod(...args);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

test('a misspelt key is named, with what is allowed, and no run is begun', () => {
  const run = join(folder, 'never');
  const file = recipe('method: sft\ninit: { hiddensize: 16, layers: 1 }');
  expect(refusal('train', file, '--run', run)).toMatch(
    /: init: unknown key 'hiddensize', did you mean 'hiddenSize'\? Allowed: hiddenSize, intermediateSize, /,
  );
  expect(refusal('train', 'recipes/demo/student-sft.yaml', '--run', run, '--set', 'optimizer.learningrate=1')).toMatch(
    /^recipes\/demo\/student-sft\.yaml: optimizer: unknown key 'learningrate', did you mean 'learningRate'\?/,
  );
  expect(existsSync(run)).toBe(false);
});

test('a dry run says what a run would take, and begins none', () => {
  const run = join(folder, 'dry');
  // Not where somebody may have made the hints.
  const { status, stdout } = sodIn(
    folder,
    'train',
    resolve('recipes/qwen3-1.7b/opsd-hint.yaml'),
    '--dry-run',
    '--run',
    run,
  );
  expect(status).toBe(0);
  expect(stdout).toMatch(/^updates +600 in 150 iterations$/m);
  expect(stdout).toMatch(/^downloads +Gen-Verse\/Open-AgentRL-Eval \(dataset\)$/m);
  expect(stdout).toMatch(/^data +no dataset yet in \S+open-agentrl-hints\.jsonl$/m);
  expect(existsSync(run)).toBe(false);
});

test("what an agent has is refused where Tinker's API is served", () => {
  expect(refusal('serve', tinyModel, '--tinker', '--system', 'Be short.')).toContain('not of --tinker');
});

test('a comparison that is not one is named', () => {
  expect(refusal('compare', join(folder, 'no.yaml'))).toMatch(/no\.yaml: no such file/);
  expect(refusal('compare', 'recipes/world/compare.yaml', '--only', 'sid')).toContain("has no method 'sid'");
});

test('a recipe or a run that is not there is named', () => {
  expect(refusal('train', join(folder, 'no.yaml'))).toMatch(/no\.yaml: no such file/);
  expect(refusal('train', '--resume', folder)).toContain(`${folder} is not the folder of a run`);
  expect(refusal('train')).toContain('give a recipe');
  expect(refusal('train', 'recipes/world/compare.yaml')).toContain(
    'is a comparison, not a recipe: it is for sod compare',
  );
});

test('a folder without a model is refused by every command that needs one', () => {
  expect(refusal('eval', folder)).toContain(`${folder} holds no model`);
  expect(refusal('run', folder)).toContain(`${folder} holds no model`);
});

test('problems that cannot be read are refused, by whatever wants them', () => {
  const problems = join(folder, 'problems.jsonl');
  writeFileSync(problems, '{"prompt": "How many?", "answer": "4"}\n{"prompt": "How many?"}\n');
  expect(refusal('eval', tinyModel, '--benchmark', `aime24=${problems}`)).toContain('problems.jsonl, line 2: answer: ');
  expect(refusal('eval', tinyModel, '--benchmark', 'aime42')).toContain(
    "no benchmark 'aime42', did you mean 'aime24'?",
  );
  const file = recipe(`method: grpo\nmodel: ${tinyModel}\ndataset: ${problems}\n`);
  const unread = refusal('train', file, '--run', join(folder, 'unread'));
  expect(unread).toContain('1 of 2 rows');
  expect(unread).toMatch(/1 × answer: .*problems\.jsonl, line 2\)/);
  expect(refusal('collect', tinyModel, '--dataset', problems, '--out', join(folder, 'out.jsonl'))).toContain('line 2');
  expect(refusal('collect', tinyModel, '--out', join(folder, 'out.jsonl'))).toContain('give either --tasks');
});

test('a truncated checkpoint is refused', () => {
  const model = join(folder, 'truncated');
  cpSync(tinyModel, model, { recursive: true });
  truncateSync(join(model, 'model.safetensors'), 5000);
  expect(refusal('eval', model)).toContain('model.safetensors');
});

test('unknown options and values are refused', () => {
  expect(refusal('eval', folder, '--k', '0')).toContain("option '--k <samples>' argument '0' is invalid");
  expect(refusal('eval', folder, '--tasks', 'nowhere:3')).not.toBe('');
  expect(sod('trane', 'x')).toMatchObject({ status: 1, stderr: expect.stringContaining('Did you mean train?') });
});

test('help is quick to read and complete: every command has its own, with an example', () => {
  const { status, stdout } = sod('--help');
  expect(status).toBe(0);
  for (const command of ['demo', 'train', 'eval', 'run', 'init', 'card', 'push']) {
    expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect(sod(command, '--help').stdout).toContain(`sod ${command}`);
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect(sod('--version').stdout.trim()).toBe(version);
});

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { toolOfModel, writeAgentFile } from '../../src/tools/agentFile.ts';
import { callTool } from '../../src/tools/call.ts';
import {
  formatToolProfile,
  parseToolProfile,
  readToolProfile,
  type ToolProfile,
  toolPresets,
} from '../../src/tools/profile.ts';
import { toolSchema } from '../../src/tools/schema.ts';
import { formatRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { openKit } from '../../src/worlds/kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-profile-'));
const own: ToolProfile = {
  ...toolPresets.python,
  name: 'run',
  argument: 'source',
  state: 'fresh',
  results: 'printed',
  outputChars: 10,
  cut: 'start',
};
const [paper, kept, mine] = await Promise.all(
  [toolPresets.paper, toolPresets.python, own].map(tool => openKit({ tool })),
);
afterAll(() => Promise.all([paper, kept, mine].map(({ close }) => close())));

describe("the paper's tool", () => {
  const tool = paper.kit.python();
  const run = (code: string) => callTool([tool], { name: 'code_interpreter', arguments: { code } });

  test('is shown as its data have it', () => {
    expect(toolSchema(tool)).toMatchObject({
      name: 'code_interpreter',
      description: 'A tool for executing code.',
      parameters: { properties: { code: { type: 'string' } }, required: ['code'] },
    });
  });

  test('forgets everything between calls, and shows final values', async () => {
    expect(await run('x = 6 * 7\nx')).toEqual({ observation: '42\n' });
    expect(await run('x')).toMatchObject({ error: 'exception', observation: expect.stringContaining('NameError') });
  });

  test('keeps 256 characters, of both ends', async () => {
    const { observation } = await run("print('a' * 5000 + 'b' * 5000, end='')");
    expect(observation).toBe(`${'a'.repeat(128)}...(truncated)...${'b'.repeat(128)}`);
  });

  test('has the memory that it says', async () => {
    expect(await run('len(bytearray(400 * 2**20))')).toEqual({ observation: `${400 * 2 ** 20}\n` });
    expect(await run('len(bytearray(2**31))')).toMatchObject({ error: 'exception' });
  });
});

test('a profile of its own: argument, what is printed alone, cut at the start', async () => {
  const tool = mine.kit.python();
  const run = (source: string) => callTool([tool], { name: 'run', arguments: { source } });
  expect(await run('42')).toEqual({ observation: '(no output)' });
  expect(await run("print('0123456789abcdef', end='')")).toEqual({
    observation: '\n… [6 characters cut] …\n6789abcdef',
  });
  const unknown = await callTool([tool], { name: 'run', arguments: { code: '1' } });
  expect(unknown).toMatchObject({ error: 'invalid_arguments' });
});

test('the other preset keeps variables', async () => {
  const tool = kept.kit.python();
  const run = (code: string) => callTool([tool], { name: 'python', arguments: { code } });
  await run('x = 6 * 7');
  expect(await run('x')).toEqual({ observation: '42\n' });
});

test('a recipe names a preset, or what is other than in one, and is written out whole', () => {
  const recipe = (tool?: unknown) => parseRecipe({ method: 'sft', model: 'm', tool });
  expect(recipe().tool).toEqual(toolPresets.python);
  expect(recipe('paper').tool).toEqual(toolPresets.paper);
  expect(recipe({ preset: 'paper', timeoutMs: 1000 }).tool).toEqual({ ...toolPresets.paper, timeoutMs: 1000 });
  for (const tool of ['paper', own]) {
    const written = recipe(tool);
    expect(parseRecipe(parse(formatRecipe(written)))).toEqual(written);
  }
  expect(() => recipe({ nam: 'x' })).toThrow(/tool: unknown key 'nam', did you mean 'name'/);
  expect(() => recipe('papr')).toThrow(/^recipe: tool: /);
});

describe('code that a server runs', () => {
  const url = 'http://gpu-7:8080';
  const tool = (own: object) => parseToolProfile({ kind: 'sandbox-fusion', ...own }, 'recipe: tool');

  test('has nothing that lasts, and the model is told so', () => {
    expect(tool({ url })).toMatchObject({ name: 'python', state: 'fresh', url });
    expect(tool({ url }).description).toContain('nothing is kept between calls');
    expect(tool({ url, preset: 'paper' })).toEqual({ ...toolPresets.paper, kind: 'sandbox-fusion', url });
    expect(parseToolProfile(tool({ url }), 'again')).toEqual(tool({ url }));
  });

  test('is named in plans', () => {
    expect(formatToolProfile(tool({ url, concurrency: 8 }))).toBe(
      'python(code), run by SandboxFusion at http://gpu-7:8080, as tests of programs are, 8 at once, ' +
        'a fresh interpreter a call, final values shown',
    );
  });

  test.each([
    [{}, 'url: is required, such as http://127.0.0.1:8080'],
    [{ url: 'gpu-7:8080' }, 'url: must be the address of a server'],
    [{ url: 'http://me:secret@gpu-7' }, 'url: must hold no key, password or query'],
    [{ url, state: 'kept' }, 'state: must be fresh: SandboxFusion keeps nothing between calls'],
    [{ url, packages: ['numpy'] }, 'packages: is for kind: local; a server has packages of its own'],
    [{ kind: 'local', url }, 'url: is for kind: sandbox-fusion'],
  ])('%j is refused', (own, message) => {
    expect(() => tool(own)).toThrow(`recipe: tool: ${message}`);
  });

  test('is no matter of the model, that remembers how its tool looks', () => {
    writeAgentFile(folder, tool({ url, concurrency: 8 }));
    const { kind: _, url: __, ...look } = tool({ url });
    expect(toolOfModel(folder)).toEqual(look);
    writeFileSync(join(folder, 'agent.json'), JSON.stringify({ tool: tool({ url: 'http://elsewhere.example' }) }));
    expect(toolOfModel(folder)).toEqual(look);
  });
});

test('commands take a preset or a file', () => {
  const file = join(folder, 'tool.yaml');
  writeFileSync(file, 'preset: paper\nstate: kept\n');
  expect(readToolProfile('paper')).toBe(toolPresets.paper);
  expect(readToolProfile(file)).toEqual({ ...toolPresets.paper, state: 'kept' });
  expect(() => readToolProfile('papre')).toThrow(
    /no tool profile 'papre', did you mean 'paper'\? There are python, paper/,
  );
});

test('a model remembers its tool', () => {
  expect(toolOfModel(mkdtempSync(join(tmpdir(), 'sod-profile-')))).toBeUndefined();
  writeAgentFile(folder, own);
  expect(toolOfModel(folder)).toEqual(own);
  writeFileSync(join(folder, 'agent.json'), '{"tool": {"name": ""}}');
  expect(() => toolOfModel(folder)).toThrow(/agent\.json: tool: name: must be letters/);
});

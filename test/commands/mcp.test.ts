import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { loadRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from '../serve/weatherModel.ts';
import { testServer } from '../tools/mcp/servers.ts';
import { shortAnswersRun } from '../train/shortAnswers.ts';

const folder = temporaryFolder(afterAll);
const kitchen = testServer('kitchenServer.mjs');

function sod(args: string[], { input = '', env = {} } = {}) {
  const options = { encoding: 'utf8', input, env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], options);
  return { status, stdout, stderr };
}

function yamlFile(name: string, content: unknown): string {
  const file = join(folder, name);
  writeFileSync(file, stringify(content));
  return file;
}

test('a conversation has the tools of a server, only those that are wanted', async () => {
  const servers = yamlFile('servers.yaml', { mcp: [{ ...kitchen, tools: ['weather'] }] });
  const options = ['--mcp', servers, '--temperature', '0'];
  const { status, stdout } = sod(['chat', await weatherModel(), ...options], { input: 'How warm is it in Oslo?\n' });
  expect(status).toBe(0);
  expect(stdout).toMatch(/→ weather .*Oslo.*\n← 12\n12 °C in Oslo/);
});

test("a recipe's servers are named by the plan, started only when that is allowed, and the same when it goes on", async () => {
  const model = await weatherModel();
  const mcp = [{ ...kitchen, env: { KITCHEN_KEY: `\${TEST_KEY}`, KITCHEN: `\${TEST_KITCHEN}` } }];
  const training = { iterations: 1, promptsPerIteration: 2, promptsPerUpdate: 2 };
  const recipe = yamlFile('recipe.yaml', {
    ...shortAnswersRun(folder, { student: model, teacher: model }),
    evaluate: undefined,
    training,
    mcp,
  });
  const env = { TEST_KEY: 'k-123456', TEST_KITCHEN: 'old' };
  const run = join(folder, 'run');

  const plan = sod(['train', recipe, '--dry-run'], { env });
  expect(plan.stdout).toMatch(/^MCP server +kitchen: runs .*kitchenServer\.mjs, with KITCHEN_KEY=\$\{TEST_KEY\}, /m);
  const refused = sod(['train', recipe, '--run', run], { env });
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(/^the recipe names MCP servers, .*kitchen: runs .* add --allow-mcp\n$/);
  expect(existsSync(run)).toBe(false);

  const stopped = AbortSignal.abort();
  onTestFinished(() => void vi.unstubAllEnvs());
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  await train(await loadRecipe(recipe), { runDir: run, allowMcp: true, signal: stopped });
  const kept = readFileSync(join(run, 'mcp-tools.json'), 'utf8');
  expect(kept).toContain('Counts its calls');
  expect(readFileSync(join(run, 'recipe.yaml'), 'utf8')).not.toContain('k-123456');
  const other = sod(['train', '--resume', run, '--allow-mcp'], { env: { ...env, TEST_KITCHEN: 'new' } });
  expect(other.status).toBe(1);
  expect(other.stderr).toMatch(
    /began with other MCP tools .*: weather of kitchen is gone; .*taste of kitchen is new\. /,
  );
});

test("what needs no server does without the protocol's package", async () => {
  const refuse = `export const resolve = (specifier, context, next) => {
    if (specifier.startsWith('@modelcontextprotocol')) throw new Error('loads ' + specifier);
    return next(specifier, context);
  }`;
  const asUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const hook = asUrl(`import { register } from 'node:module'; register(${JSON.stringify(asUrl(refuse))});`);
  const node = (...args: string[]) => spawnSync(process.execPath, ['--import', hook, ...args], { encoding: 'utf8' });

  const model = await weatherModel();
  const chat = (...args: string[]) => node(cli, 'chat', model, ...args);
  expect(chat('--tools', 'python')).toMatchObject({ status: 0 });
  expect(chat('--mcp', 'a=b').stderr).toContain('loads @modelcontextprotocol/client');
});

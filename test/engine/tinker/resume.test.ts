import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { smallSodRun, writeSmallModels } from '../../../bench/smallSodRun.ts';
import { TinkerEngine } from '../../../src/engine/tinker/engine.ts';
import { type RunningTinkerServer, serveTinker } from '../../../src/serve/tinker/server.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import { train } from '../../../src/train/train.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-tinker-'));
afterAll(() => rmSync(folder, { recursive: true }));
const models = await writeSmallModels(folder);

const start = (port: number) =>
  serveTinker({ checkpoints: [models.student, models.teacher], stateFolder: join(folder, 'state'), port });
const portOf = ({ url }: RunningTinkerServer) => Number(new URL(url).port);

test('a run whose server was restarted says so, and goes on from what the server has saved', async () => {
  let server = await start(0);
  const recipe = parseRecipe({ ...smallSodRun(models), engine: { kind: 'tinker', url: server.url } });
  const run = join(folder, 'run');
  const undisturbed = await train(recipe, { runDir: join(folder, 'undisturbed') });
  const engine = await TinkerEngine.start({ url: server.url, firstPauseMs: 2 });
  const broken = train(recipe, {
    runDir: run,
    engine,
    onProgress: async event => {
      if (event.kind !== 'iteration' || event.metrics.iteration !== 5) return;
      const port = portOf(server);
      await server.close();
      server = await start(port);
    },
  });
  await expect(broken).rejects.toThrow(/answered 404: There is no .*: the server was restarted.*--resume/);
  await engine.close();
  expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual(['000004', '000008']);
  expect(readdirSync(join(run, 'checkpoints/000008')).sort()).toEqual(['progress.json', 'tinker.json']);

  const { finished, checkpoint } = await train(recipe, { runDir: run, resume: true });
  expect(finished).toBe(true);
  const weights = (dir: string) => readFileSync(join(dir, 'model.safetensors'));
  expect(weights(checkpoint).equals(weights(undisturbed.checkpoint))).toBe(true);
  await server.close();
});

test('a server that is away for longer than patience lasts ends the run with what is needed to go on', async () => {
  const server = await start(0);
  const engine = await TinkerEngine.start({ url: server.url, firstPauseMs: 2, patienceMs: 200 });
  await server.close();
  await expect(engine.trainer(models.student)).rejects.toThrow(/cannot be reached.*ECONN.*--resume/);
  await engine.close();
});

test('says which models a server has, and what it cannot do', async () => {
  const server = await start(0);
  const engine = await TinkerEngine.start({ url: server.url });
  await expect(engine.trainer(join(folder, 'other'))).rejects.toThrow(
    `${server.url} has no model other, it has student, teacher: start it with`,
  );
  const sampler = await engine.sampler(models.student);
  await expect(sampler.generate([99_999], { maxTokens: 1 })).rejects.toThrow(
    /The prompt holds token 99999; this model has tokens 0 to \d+/,
  );
  await expect(sampler.generate([1], { maxTokens: 1, alternatives: 2 })).rejects.toThrow(/local engine/);
  await engine.close();
  const recipe = parseRecipe({
    ...smallSodRun(models),
    engine: { kind: 'tinker', url: server.url, dialect: 'skyrl-jax', rank: 0 },
  });
  await expect(train(recipe, { runDir: join(folder, 'refused') })).rejects.toThrow(
    /no dual clip.*no clipping.*no training of all weights/,
  );
  await server.close();
});

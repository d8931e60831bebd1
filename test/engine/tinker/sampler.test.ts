import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TinkerEngine } from '../../../src/engine/tinker/engine.ts';
import { serveTinker } from '../../../src/serve/tinker/server.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../tinyModel.ts';

test('seeds go to a server as it takes them: all of them, or below its limit', async () => {
  const model = await writeTinyModel(join(temporaryFolder(), 'model'));
  const server = await serveTinker({ checkpoints: [model], stateFolder: temporaryFolder(), port: 0 });
  onTestFinished(() => server.close());
  const say = async (dialect: 'sod' | 'skyrl-jax', seed: number) => {
    const engine = await TinkerEngine.start({ url: server.url, dialect });
    const sampler = await engine.sampler(model);
    const { tokens } = await sampler.generate(randomTokens(5, 'prompt'), { maxTokens: 12, seed });
    await engine.close();
    return tokens;
  };
  expect(await say('skyrl-jax', 2 ** 31 + 7)).toEqual(await say('sod', 7));
  expect(await say('sod', 2 ** 31 + 7)).not.toEqual(await say('sod', 7));
});

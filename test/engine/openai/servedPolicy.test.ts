import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local/engine.ts';
import { ServedPolicy } from '../../../src/engine/openai/servedPolicy.ts';
import type { Trainer } from '../../../src/engine/types.ts';
import { type RunningServer, serve } from '../../../src/serve/server.ts';
import { weatherModel } from '../../serve/weatherModel.ts';
import { randomTokens, temporaryFolder } from '../tinyModel.ts';

const folder = temporaryFolder(afterAll);
const weights = join(folder, 'shared');
const prompt = randomTokens(40, 'probe');
let checkpoint: string;
let local: LocalEngine;
let server: RunningServer;
/** One whose weights stay. */
let fixed: RunningServer;

beforeAll(async () => {
  checkpoint = await weatherModel();
  local = await LocalEngine.start({ dtype: 'f32' });
  [server, fixed] = await Promise.all([start(weights), start()]);
}, 180_000);
afterAll(async () => {
  await local.close();
  await Promise.all([server.close(0), fixed.close(0)]);
});

const start = (weightsFrom?: string) => serve({ checkpoint, port: 0, weightsFrom, engine: { dtype: 'f32' } });

async function policy(url: string): Promise<ServedPolicy> {
  const trainer = await local.trainer(checkpoint);
  const opened = await ServedPolicy.open(trainer, { url, weights, checkpoint, prompt, tolerance: 0.1 });
  onTestFinished(() => opened.close());
  return opened;
}

/** A gradient and the update by it, both at once, as the loop asks for them. */
function update(trainer: Trainer, learningRate: number) {
  const data = [{ tokens: prompt, weights: new Float32Array(prompt.length).fill(1) }];
  return Promise.all([
    trainer.forwardBackward(data, { kind: 'cross_entropy' }),
    trainer.optimStep({ learningRate, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 }),
  ]);
}

test('samples by the weights of this moment, as if it were here', async () => {
  const [there, here] = [await policy(server.url), await local.trainer(checkpoint)];
  for (const seed of [1, 2]) {
    await Promise.all([update(there, 1e-2), update(here, 1e-2)]);
    const [served, sampler] = [await there.sampler(), await here.sampler()];
    const options = { maxTokens: 20, seed };
    expect(await served.generate(prompt, options)).toEqual(await sampler.generate(prompt, options));
  }
});

test.each([
  ['a little', 1e-5, /^http:\S+ scores to the last bit as before: it has the weights that it had$/],
  ['much', 0.1, /^http:\S+ finds 40 tokens \S+ nats more or less probable than this machine, on average, and 0\.1 are/],
])('a server that only says that it has new weights is found out, where they changed %s', async (_, rate, message) => {
  const trainer = await policy(await boasting(fixed.url));
  await trainer.sampler();
  await update(trainer, rate);
  await expect(trainer.sampler()).rejects.toThrow(message);
});

test('where somebody else has changed the weights, nothing is learned from what was sampled', async () => {
  const trainer = await policy(server.url);
  await trainer.sampler();
  const model_path = join(weights, 'other');
  const other = await local.trainer(checkpoint);
  await update(other, 0.1);
  await other.save(model_path);
  await fetch(`${server.url}/update_weights_from_disk`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model_path }),
  });
  await expect(update(trainer, 1e-2)).rejects.toThrow(
    /nats more or less .* now, and did not when sampling began: it was restarted, or given other weights\. --resume sends/,
  );
  await trainer.save(join(folder, 'unchanged'));
  const content = (model: string) => readFileSync(join(model, 'model.safetensors'));
  expect(content(join(folder, 'unchanged')).equals(content(checkpoint))).toBe(true);
});

test('a server that takes no weights is named with what to do, and so is a folder that is taken', async () => {
  const trainer = await policy(fixed.url);
  await expect(trainer.sampler()).rejects.toThrow(
    /^http:\S+: answered 404 \(There is no \/update_weights_from_disk.*\), asked to load \S+policy-\d+: it must see that folder/,
  );
  await expect(policy(server.url)).rejects.toThrow(/shared is in use by process \d+/);
});

/** A way to a server on which nothing is loaded, but said to be. */
async function boasting(target: string): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    if (incoming.url === '/update_weights_from_disk') {
      outgoing.setHeader('content-type', 'application/json');
      outgoing.end('{"success": true}');
      return;
    }
    const { method, headers, url } = incoming;
    const passed = request(target + url, { method, headers }, answer => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(passed);
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

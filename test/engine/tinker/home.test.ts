import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { create, Header } from 'tar';
import { expect, onTestFinished, test } from 'vitest';
import { readCheckpoint } from '../../../src/checkpoint/checkpoint.ts';
import { Connection } from '../../../src/engine/tinker/connection.ts';
import { bringHome } from '../../../src/engine/tinker/home.ts';
import { writeSafetensors } from '../../../src/model/safetensors.ts';
import { temporaryFolder, writeTinyModel } from '../tinyModel.ts';

const matrix = 'model.layers.0.mlp.up_proj';

/** An adapter in an archive as SkyRL makes it: its first entry is the folder, by the name of /. */
async function skyrlArchive(): Promise<Buffer> {
  const folder = join(temporaryFolder(), 'adapter');
  mkdirSync(folder);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ r: 1, lora_alpha: 1 }));
  const factor = (name: string, shape: number[], values: number[]) => ({
    name: `base_model.model.${matrix}.${name}.weight`,
    dtype: 'F32' as const,
    shape,
    read: () => Float32Array.from(values),
  });
  writeSafetensors(join(folder, 'adapter_model.safetensors'), [
    factor('lora_A', [1, 40], Array(40).fill(1)),
    factor('lora_B', [56, 1], Array(56).fill(2)),
  ]);
  const root = Buffer.alloc(512);
  new Header({ path: '/', type: 'Directory', mode: 0o700, size: 0, mtime: new Date(0) }).encode(root);
  const files = await buffer(create({ cwd: folder, portable: true }, readdirSync(folder)));
  return gzipSync(Buffer.concat([root, files]));
}

async function serve(archive: Buffer): Promise<string> {
  const server = createServer((_, response) => response.end(archive));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an adapter comes home as SkyRL packs it: merged, and as it is', async () => {
  const base = await writeTinyModel(join(temporaryFolder(), 'base'));
  const connection = new Connection({ url: await serve(await skyrlArchive()), patienceMs: 0 });
  onTestFinished(() => connection.close());
  const home = join(temporaryFolder(), 'home');
  await bringHome(connection, 'tinker://model_1/update-1', base, home);

  expect(readdirSync(join(home, 'adapter')).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  const valuesOf = (folder: string) => {
    const checkpoint = readCheckpoint(folder);
    const values = checkpoint.tensors.find(({ name }) => name === `${matrix}.weight`)!.read();
    checkpoint.close();
    return values;
  };
  expect(valuesOf(home)).toEqual(valuesOf(base).map(value => value + 2));
});

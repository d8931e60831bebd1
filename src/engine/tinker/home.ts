import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { adapterFiles } from '../../checkpoint/adapter.ts';
import { readCheckpoint, writeCheckpoint } from '../../checkpoint/checkpoint.ts';
import { mergeAdapter } from '../../checkpoint/mergeAdapter.ts';
import { replaceFolder, temporaryFolder } from '../../files.ts';
import { Passing } from '../../http/patience.ts';
import type { Connection } from './connection.ts';
import { checkpointRoute } from './savedPlace.ts';

/**
 * Brings saved weights home: `dir` becomes a model in the Hugging Face layout. Of an adapter, the model that it was trained on
 * with the adapter merged into it; the adapter itself, as PEFT reads it, lies in the folder `adapter` within.
 * @param path of the checkpoint, `tinker://…`
 * @param base folder of the model that was trained
 */
export async function bringHome(connection: Connection, path: string, base: string, dir: string): Promise<void> {
  const archive = temporaryFolder(`${dir}.archive`);
  try {
    await connection.download(`${checkpointRoute(path)}/archive`, async body => {
      rmSync(archive, { recursive: true, force: true });
      mkdirSync(archive, { recursive: true });
      await unpack(body, archive);
    });
    if (existsSync(join(archive, 'model.safetensors'))) {
      readCheckpoint(archive).close();
      replaceFolder(archive, dir);
    } else {
      await merged(archive, base, dir);
    }
  } finally {
    rmSync(archive, { recursive: true, force: true });
  }
}

/** @throws Passing where the archive is broken: it may come whole next time */
async function unpack(body: ReadableStream<Uint8Array>, folder: string): Promise<void> {
  try {
    const files = extract({
      cwd: folder,
      strict: true,
      // Folders are made for what is in them; SkyRL's archives name that of the adapter as /.
      filter: (_, entry) => 'type' in entry && entry.type === 'File',
    });
    await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), files);
  } catch (error) {
    throw new Passing(`gave a broken archive of the weights (${(error as Error).message})`);
  }
  if (!existsSync(join(folder, 'config.json')) && !existsSync(join(folder, adapterFiles.weights))) {
    throw new Passing('gave an archive of the weights without them');
  }
}

async function merged(adapter: string, base: string, dir: string): Promise<void> {
  const checkpoint = readCheckpoint(base);
  try {
    await writeCheckpoint(dir, checkpoint.config, mergeAdapter(checkpoint.tensors, adapter), {
      from: base,
      extra: folder => {
        mkdirSync(join(folder, 'adapter'));
        for (const name of Object.values(adapterFiles)) cpSync(join(adapter, name), join(folder, 'adapter', name));
      },
    });
  } finally {
    checkpoint.close();
  }
}

import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../errors.ts';
import { fileSize, type RepositoryCache } from './cache.ts';
import { withPart } from './part.ts';
import { patiently } from './patience.ts';
import { type Answer, ask, Unreachable } from './request.ts';
import { type Hub, pageOf } from './source.ts';
import type { RepositoryFile } from './tree.ts';

/**
 * Brings the content of a file into the cache, going on from where an earlier download stopped. It appears there when
 * it is whole and its hash is right.
 * @throws UserError if it is not what the Hub lists, or the Hub refuses it or cannot be reached; the signal's reason.
 */
export async function download(hub: Hub, cache: RepositoryCache, commit: string, file: RepositoryFile): Promise<void> {
  const blob = cache.blob(file);
  const present = fileSize(blob);
  if (present === file.bytes) return;
  if (present !== undefined) rmSync(blob);
  mkdirSync(dirname(blob), { recursive: true });
  await withPart(hub, blob, async part => {
    await complete(hub, commit, file, part);
    await check(hub, file, part);
    renameSync(part, blob);
  });
}

async function complete(hub: Hub, commit: string, file: RepositoryFile, part: string): Promise<void> {
  const { path, bytes } = file;
  const url = `${pageOf(hub)}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
  const handle = await open(part, 'a');
  let done = (await handle.stat()).size;
  const backTo = async (byte: number) => {
    await handle.truncate(byte);
    done = byte;
  };
  const receive = async (answer: Answer) => {
    const { start, total = bytes } = rangeOf(answer);
    if (total !== bytes) throw wrong(hub, file, `${bytes} bytes`, `${total}`);
    if (!(start <= done)) throw new Unreachable(`the server did not answer with the bytes from ${done} on`);
    if (start < done) await backTo(start);
    if (answer.status === 416) throw new Unreachable('the server says that it has fewer bytes');
    for await (const chunk of answer.body) {
      if (done + chunk.length > bytes) {
        await backTo(0);
        throw wrong(hub, file, `${bytes} bytes`, 'more');
      }
      await handle.appendFile(chunk);
      done += chunk.length;
      hub.onProgress?.(path, done, bytes);
    }
    if (done < bytes) throw new Unreachable('the server ended its answer early');
  };
  try {
    if (done > bytes) await backTo(0);
    hub.onProgress?.(path, done, bytes);
    // Compressed on its way, a range would be one of other bytes.
    const headers = () => ({ 'Accept-Encoding': 'identity', ...(done > 0 && { Range: `bytes=${done}-` }) });
    if (done < bytes) await patiently(hub, () => ask(hub, url, headers(), receive), { gained: () => done });
    await handle.sync();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    throw new UserError(
      `${path} of ${pageOf(hub)}: ${error.message}; ${done} of ${bytes} bytes are here, run again to go on from there`,
    );
  } finally {
    await handle.close();
  }
}

/** Which bytes an answer has: where they start, and of how many in all, if it says so. A server may send all of them anyway. */
function rangeOf({ status, headers }: Answer): { start: number; total?: number } {
  if (status === 206) {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)?/.exec(headers.get('content-range') ?? '') ?? [];
    return { start: Number(start), total: total === undefined ? undefined : Number(total) };
  }
  const length = headers.get('content-length');
  const isPlain = status === 200 && length !== null && !headers.has('content-encoding');
  return { start: 0, total: isPlain ? Number(length) : undefined };
}

/** Deletes a part that is not what the Hub lists. */
async function check(hub: Hub, file: RepositoryFile, part: string): Promise<void> {
  const isSha256 = file.hash.length === 64;
  const hash = isSha256 ? createHash('sha256') : createHash('sha1').update(`blob ${file.bytes}\0`);
  for await (const chunk of createReadStream(part, { highWaterMark: 2 ** 20, signal: hub.signal })) hash.update(chunk);
  const got = hash.digest('hex');
  if (got === file.hash) return;
  rmSync(part);
  throw wrong(hub, file, `${isSha256 ? 'SHA-256' : 'git SHA-1'} ${file.hash}`, got);
}

function wrong(hub: Hub, { path }: RepositoryFile, expected: string, got: string): UserError {
  return new UserError(
    `${path} of ${pageOf(hub)} did not arrive as the Hub lists it (expected ${expected}, got ${got}) and is not kept: ` +
      `run again to download it anew; if it comes again, a proxy or HF_ENDPOINT (${hub.endpoint}) sends something else`,
  );
}

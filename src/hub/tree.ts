import { z } from 'zod';
import { jsonIn } from '../json.ts';

/** A file of a repository at a commit. */
export interface RepositoryFile {
  /** In the repository, with `/`. */
  path: string;
  bytes: number;
  /** The hash of the content, by which the cache knows it: SHA-256 of a file in large file storage, else `gitHash`. */
  hash: string;
  /** Git's SHA-1: of the content, or of what stands for it in git. */
  gitHash: string;
  /** Of the storage that other tools can download from in pieces. */
  xetHash?: string;
}

const sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const bytes = z.int().nonnegative();

/** A file as the Hub's API lists it. */
export const listedSchema = z
  .object({
    path: z.string(),
    size: bytes,
    oid: sha1,
    lfs: z.object({ oid: sha256, size: bytes }).nullish(),
    xetHash: z.string().nullish(),
  })
  .transform(
    ({ path, size, oid, lfs, xetHash }): RepositoryFile => ({
      path,
      bytes: lfs?.size ?? size,
      hash: lfs?.oid ?? oid,
      gitHash: oid,
      xetHash: xetHash ?? undefined,
    }),
  );

const treeSchema = z.object({
  format_version: z.literal(1),
  files: z.record(
    z.string(),
    z.object({ size: bytes, blob_id: sha1, lfs_sha256: sha256.optional(), xet_hash: z.string().optional() }),
  ),
});

/** A listing as Hugging Face's own tools keep it, in the order of the paths; undefined if it is of another format. */
export function parseTree(text: string): RepositoryFile[] | undefined {
  const tree = treeSchema.safeParse(jsonIn(text));
  if (!tree.success) return undefined;
  const files = Object.entries(tree.data.files).map(([path, { size, blob_id, lfs_sha256, xet_hash }]) => ({
    path,
    bytes: size,
    hash: lfs_sha256 ?? blob_id,
    gitHash: blob_id,
    xetHash: xet_hash,
  }));
  return files.sort(byPath);
}

export function formatTree(files: readonly RepositoryFile[]): string {
  const entries = files.map(({ path, bytes, hash, gitHash, xetHash }) => {
    const large = hash === gitHash ? undefined : { lfs_sha256: hash, lfs_size: bytes };
    return [path, { size: bytes, blob_id: gitHash, ...large, xet_hash: xetHash }];
  });
  return JSON.stringify({ format_version: 1, files: Object.fromEntries(entries) }, null, 1);
}

export function byPath(a: RepositoryFile, b: RepositoryFile): number {
  return a.path < b.path ? -1 : 1;
}

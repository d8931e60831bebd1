import { text } from 'node:stream/consumers';
import { datasetInfo, listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';
import type { RepositoryCache, Revision } from './cache.ts';
import { patiently } from './patience.ts';
import { ask } from './request.ts';
import { type Hub, isCommit } from './source.ts';
import { byPath, listedSchema, type RepositoryFile } from './tree.ts';

/**
 * Asks the Hub which commit a revision is and which files it has; not again what never changes and is in the cache.
 * @throws Unreachable after `tries` failures; UserError if the Hub refuses or is none; the signal's reason.
 */
export async function listRevision(hub: Hub, cache: RepositoryCache, tries?: number): Promise<Revision> {
  const request: typeof fetch = url => {
    const once = () =>
      ask(hub, String(url), {}, async ({ headers, body }) => new Response(await text(body), { headers }));
    return patiently(hub, once, { tries });
  };
  try {
    const commit = isCommit(hub.revision) ? hub.revision : await commitOf(hub, request);
    const known = cache.tree(commit);
    if (known) return { commit, files: known };
    const files = await filesOf(hub, commit, request);
    cache.keepTree(commit, files);
    return { commit, files };
  } catch (error) {
    const isOdd = error instanceof SyntaxError || error instanceof z.ZodError;
    if (!isOdd) throw error;
    const reason = error instanceof z.ZodError ? firstIssue(error) : error.message;
    throw new UserError(
      `${hub.endpoint} does not answer as the Hub does (${reason}): check HF_ENDPOINT, and whether the network wants a login`,
    );
  }
}

const infoSchema = z.object({ sha: z.string().refine(isCommit, 'expected a commit') });

async function commitOf({ type, name, revision, endpoint: hubUrl }: Hub, request: typeof fetch): Promise<string> {
  const query = { name, revision, hubUrl, fetch: request };
  const info =
    type === 'model'
      ? await modelInfo({ ...query, additionalFields: ['sha'] })
      : await datasetInfo({ ...query, additionalFields: ['sha'] });
  return infoSchema.parse(info).sha;
}

async function filesOf(hub: Hub, commit: string, request: typeof fetch): Promise<RepositoryFile[]> {
  const { type, name, endpoint: hubUrl } = hub;
  const files: RepositoryFile[] = [];
  const entries = listFiles({ repo: { type, name }, revision: commit, recursive: true, hubUrl, fetch: request });
  for await (const entry of entries) if (entry.type === 'file') files.push(listedSchema.parse(entry));
  return files.sort(byPath);
}

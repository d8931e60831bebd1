import { join } from 'node:path';
import { createBranch, createRepo, HubApiError, modelInfo, uploadFilesWithProgress } from '@huggingface/hub';
import type { ModelFile } from '../checkpoint/publicFiles.ts';
import { UserError } from '../errors.ts';
import { inWords } from './pushErrors.ts';
import { SentFile } from './sentFile.ts';
import { type HubSettings, hubSettings } from './settings.ts';

export interface PushRequest {
  /** `org/name` */
  name: string;
  folder: string;
  /** Of the folder. */
  files: readonly ModelFile[];
  /** The branch that gets the commit, made if it is not there. Default: main. */
  revision?: string;
  /** A repository that is made is private, and one that is there must be. */
  isPrivate?: boolean;
  /** Of the commit. */
  message?: string;
}

export interface PushControl {
  onProgress?: (sentBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

/** What is pushed, and by whose leave. */
export interface Push extends PushRequest, HubSettings {
  token: string;
  revision: string;
}

/**
 * Uploads a model to the Hugging Face Hub as one commit, in a repository that is made if there is none. Large files that
 * arrived before are not sent again; what others see changes with the commit alone.
 * @throws UserError which says what to do; the signal's reason.
 */
export async function push(request: PushRequest, { onProgress, signal }: PushControl = {}): Promise<{ url: string }> {
  const settings = hubSettings();
  const push: Push = { revision: 'main', ...request, ...settings, token: usableToken(settings) };
  try {
    await prepareRepository(push, signal);
    return await upload(push, onProgress, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw inWords(push, error as Error);
  }
}

/** @throws UserError where the library would refuse as well, in its own words. */
function usableToken({ endpoint, offline, token }: HubSettings): string {
  if (offline) throw new UserError('HF_HUB_OFFLINE is set: unset it to push, or see with --dry-run what would go');
  const remedy = `make one with the permission to write at ${endpoint}/settings/tokens`;
  if (!token) throw new UserError(`a push needs a token: ${remedy}, and set HF_TOKEN to it`);
  if (!token.startsWith('hf_')) {
    throw new UserError(`HF_TOKEN is no token of the Hub, which begin with hf_: ${remedy}`);
  }
  return token;
}

/** Makes the repository and its branch where they are not there yet. */
async function prepareRepository(push: Push, signal?: AbortSignal): Promise<void> {
  const { name, endpoint, token, isPrivate, revision } = push;
  const interruptible: typeof fetch = (url, init) => fetch(url, { ...init, signal });
  const access = { hubUrl: endpoint, accessToken: token, fetch: interruptible };
  const repo = { type: 'model', name } as const;
  const existing = await modelInfo({ name, ...access }).catch(unless(401, 404));
  if (existing && isPrivate && !existing.private) {
    throw new UserError(
      `${endpoint}/${name} is there already and public: make it private in its settings, choose another name, or leave out --private`,
    );
  }
  if (!existing) {
    // Without a word of ours, the organization's own rule for new repositories holds.
    const visibility = isPrivate ? ('private' as const) : undefined;
    await createRepo({ repo, visibility, ...access }).catch(unless(409));
  }
  if (revision !== 'main') await createBranch({ repo, branch: revision, ...access }).catch(unless(409));
}

/** Takes an answer of the Hub for none. */
function unless(...statuses: number[]): (error: unknown) => undefined {
  return error => {
    if (error instanceof HubApiError && statuses.includes(error.statusCode)) return undefined;
    throw error;
  };
}

async function upload(
  { name, folder, files, endpoint, token, revision, message }: Push,
  onProgress: PushControl['onProgress'],
  signal?: AbortSignal,
): Promise<{ url: string }> {
  const sent = new Map<string, number>();
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const tell = (path: string, bytes: number) => {
    sent.set(path, Math.max(bytes, sent.get(path) ?? 0));
    onProgress?.(
      [...sent.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  };
  const events = uploadFilesWithProgress({
    repo: { type: 'model', name },
    files: files.map(({ path }) => ({ path, content: SentFile.of(join(folder, path), bytes => tell(path, bytes)) })),
    commitTitle: message ?? 'Upload model with sod',
    branch: revision,
    hubUrl: endpoint,
    accessToken: token,
    abortSignal: signal,
    // The library's transfer by Xet cannot be interrupted; the Hub takes the older one into the same storage.
    useXet: false,
  });
  for (;;) {
    signal?.throwIfAborted();
    const { done, value } = await events.next();
    if (done) {
      for (const { path, bytes } of files) tell(path, bytes);
      return { url: value?.commit.url ?? `${endpoint}/${name}` };
    }
    if (value.event !== 'fileProgress' || value.state !== 'uploading' || value.progress !== 1) continue;
    tell(value.path, files.find(({ path }) => path === value.path)!.bytes);
  }
}

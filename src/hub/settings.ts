import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from '../errors.ts';

export interface HubSettings {
  /** Of the Hub or a mirror, without a slash at its end. */
  endpoint: string;
  token?: string;
  /** Only the cache is used. */
  offline: boolean;
  /** The folder of what was downloaded, shared with Hugging Face's own tools. */
  cacheFolder: string;
}

/**
 * What the environment says, in the variables of Hugging Face's own tools; an empty one says nothing.
 * @throws UserError if HF_ENDPOINT is no address.
 */
export function hubSettings(): HubSettings {
  const { HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } =
    process.env;
  const endpoint = HF_ENDPOINT || 'https://huggingface.co';
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new UserError(`HF_ENDPOINT is ${endpoint}; expected an address such as https://huggingface.co`);
  }
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    token: (HF_TOKEN || HUGGING_FACE_HUB_TOKEN || storedToken()).trim() || undefined,
    offline: /^(1|on|yes|true)$/i.test(HF_HUB_OFFLINE ?? ''),
    cacheFolder: resolve(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(homeFolder(), 'hub')),
  };
}

/** The token that `hf auth login` left. */
function storedToken(): string {
  try {
    return readFileSync(process.env.HF_TOKEN_PATH || join(homeFolder(), 'token'), 'utf8');
  } catch {
    return '';
  }
}

function homeFolder(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
}

import { UserError } from '../../errors.ts';
import { isServerUrl, mayHoldSecret } from '../../serverUrl.ts';

/** Where a served model is. */
export interface Address {
  /** Of the server, without `/v1` and without a slash at its end. */
  url: string;
  /** Which of the server's models. */
  model?: string;
}

/**
 * Reads `http://host:8000`, with `/v1` behind it or not, and behind `#` the name of one of several models.
 * @throws UserError where it is no such address, or would put a secret where runs are kept.
 */
export function parseAddress(text: string): Address {
  if (!isServerUrl(text) || !URL.canParse(text)) {
    throw new UserError(`${text} is no address of a server, such as http://127.0.0.1:8000`);
  }
  const { origin, host, pathname, hash } = new URL(text);
  if (mayHoldSecret(text)) {
    throw new UserError(
      `the address of ${host} must hold no key, password or query, as runs keep it: put the key into SOD_API_KEY`,
    );
  }
  return {
    url: origin + pathname.replace(/\/+$/, '').replace(/\/v1$/, ''),
    model: hash.length > 1 ? decoded(hash.slice(1)) : undefined,
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

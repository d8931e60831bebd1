import { z } from 'zod';

/** Whether a model is named by the address of a server that has it, rather than by a folder or a name on the Hub. */
export function isServerUrl(reference: string): boolean {
  return /^https?:\/\//i.test(reference);
}

/** Whether an address holds what may be a secret, a user, a password or a query, and so must not stand where it is kept and shown. */
export function mayHoldSecret(url: string): boolean {
  const { username, password, search } = new URL(url);
  return [username, password, search].some(part => part !== '');
}

/** The address of a server in what runs keep. @param keyVariable of the environment, which has the key of such servers */
export function serverUrlSchema(port: number, keyVariable?: string) {
  const remedy = keyVariable ? `: give it in ${keyVariable}` : '';
  return z
    .url({ protocol: /^https?$/, error: `must be the address of a server, such as http://127.0.0.1:${port}` })
    .refine(
      url => !URL.canParse(url) || !mayHoldSecret(url),
      `must hold no key, password or query, as runs keep it${remedy}`,
    );
}

/** Whether a model is named by the address of a server that has it, rather than by a folder or a name on the Hub. */
export function isServerUrl(reference: string): boolean {
  return /^https?:\/\//i.test(reference);
}

/** Whether an address holds what may be a secret, a user, a password or a query, and so must not stand where it is kept and shown. */
export function mayHoldSecret(url: string): boolean {
  const { username, password, search } = new URL(url);
  return [username, password, search].some(part => part !== '');
}

/** Whether a model is named by the address of a server that has it, rather than by a folder or a name on the Hub. */
export function isServerUrl(reference: string): boolean {
  return /^https?:\/\//i.test(reference);
}

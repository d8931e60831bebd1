/** The name on the Hugging Face Hub in `hf:org/name`; undefined for a path. */
export function hubName(reference: string): string | undefined {
  return /^hf:([\w.-]+\/[\w.-]+)$/.exec(reference)?.[1];
}

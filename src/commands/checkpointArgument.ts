import { showDownload } from './showDownload.ts';

/** What commands that take a model say of it. */
export const checkpointHelp = 'folder of a model in Hugging Face layout, GGUF file, or hf: and its name on the Hub';

/** Where the model that was given is: what is on the Hub is downloaded first, without its weights where those are not needed. */
export async function checkpointHere(given: string, needs?: { weights: boolean }): Promise<string> {
  const { localCheckpoint } = await import('../checkpoint/reference.ts');
  return localCheckpoint(given, { onDownload: showDownload, onNotice: console.error }, needs);
}

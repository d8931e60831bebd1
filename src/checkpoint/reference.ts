import type { DownloadControl } from '../data/dataset.ts';
import { hubName } from '../hubName.ts';

/** What a checkpoint consists of in the Hugging Face layout. */
const CHECKPOINT_FILE = /^[^/]+\.(json|safetensors|jinja)$/;
const WEIGHTS_FILE = /\.safetensors$/;

/**
 * The folder of a checkpoint: the path itself, or for `hf:` and a name on the Hub what is downloaded from there, without its
 * weights where another machine has them.
 * @throws UserError which says what to do; the signal's reason.
 */
export async function localCheckpoint(
  reference: string,
  { onDownload: onProgress, onNotice, signal }: DownloadControl,
  { weights = true } = {},
): Promise<string> {
  const name = hubName(reference);
  if (!name) return reference;
  const { fetchFiles } = await import('../hub/hub.ts');
  const isWanted = (path: string) => CHECKPOINT_FILE.test(path) && (weights || !WEIGHTS_FILE.test(path));
  const select = (paths: string[]) => paths.filter(isWanted);
  const { folder } = await fetchFiles({ type: 'model', name, select }, { onProgress, onNotice, signal });
  return folder;
}

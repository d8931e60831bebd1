import type { DownloadControl } from '../data/dataset.ts';
import { currentFolder } from '../files.ts';
import { hubName } from '../hubName.ts';
import { baseOnHub } from './adapter.ts';

/** What a checkpoint consists of in the Hugging Face layout. */
const CHECKPOINT_FILE = /^[^/]+\.(json|safetensors|jinja)$/;
const WEIGHTS_FILE = /\.safetensors$/;

/**
 * The folder of a checkpoint: the path itself, or for `hf:` and a name on the Hub what is downloaded from there, without its
 * weights where another machine has them. What it is an adapter of on the Hub is downloaded as well.
 * @throws UserError which says what to do; the signal's reason.
 */
export async function localCheckpoint(
  reference: string,
  control: DownloadControl,
  { weights = true } = {},
): Promise<string> {
  const name = hubName(reference);
  const folder = name ? await fetched(name, 'main', control, weights) : reference;
  for (let base = baseOnHub(currentFolder(folder)); base; ) {
    base = baseOnHub(await fetched(base.name, base.revision, control, weights));
  }
  return folder;
}

async function fetched(
  name: string,
  revision: string,
  { onDownload: onProgress, onNotice, signal }: DownloadControl,
  weights: boolean,
): Promise<string> {
  const { fetchFiles } = await import('../hub/hub.ts');
  const isWanted = (path: string) => CHECKPOINT_FILE.test(path) && (weights || !WEIGHTS_FILE.test(path));
  const select = (paths: string[]) => paths.filter(isWanted);
  const { folder } = await fetchFiles({ type: 'model', name, revision, select }, { onProgress, onNotice, signal });
  return folder;
}

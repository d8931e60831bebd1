import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { hubName } from '../hubName.ts';
import { section } from '../schema.ts';

const reference = {
  /** A file, a folder, or `hf:` and a name on the Hugging Face Hub. */
  source: z.string().min(1),
  /** Which files of a folder or of the Hub's: a path, perhaps with `*`. */
  file: z.string().min(1).optional(),
  /** Which files, by their names. Default: train, where there is one. */
  split: z.string().min(1).optional(),
  /** Branch, tag or commit on the Hub. Default: main. */
  revision: z.string().min(1).optional(),
};

/** Where data comes from. In a recipe, the source alone or a section. */
export const datasetSchema = z.union([z.string().min(1).transform(parseDataset), section(reference)]);

/** Where data comes from that is mixed, and how much of each. */
export const mixtureSchema = z
  .array(section({ ...reference, weight: z.number().positive().optional() }), 'must be a list of datasets')
  .min(1, 'has no dataset')
  .refine(
    datasets => new Set(datasets.map(({ weight }) => weight === undefined)).size === 1,
    'give all of them a weight, or none',
  );

/** `hf:org/name/path` is a file on the Hub; anything else is a source as it stands. */
export function parseDataset(text: string): DatasetReference {
  const [, source, file] = /^(hf:[\w.-]+\/[\w.-]+)\/(.+)$/.exec(text) ?? [];
  return source ? { source, file } : { source: text };
}

export interface DatasetReference {
  source: string;
  file?: string;
  split?: string;
  revision?: string;
}

/** How the person hears of downloads, and stops them. */
export interface DownloadControl {
  onDownload?: (file: string, doneBytes: number, totalBytes: number) => void;
  onNotice?: (notice: string) => void;
  signal?: AbortSignal;
}

/**
 * The local files of a dataset, in the order of their names; those on the Hub are downloaded first.
 * @throws UserError if there are none.
 */
export async function datasetFiles(reference: DatasetReference, control: DownloadControl): Promise<string[]> {
  const { source, revision } = reference;
  const name = hubName(source);
  if (name) {
    const { fetchFiles } = await import('../hub/hub.ts');
    const { onDownload: onProgress, onNotice, signal } = control;
    const select = (paths: string[]) => selectFiles(paths, reference);
    const { files } = await fetchFiles({ type: 'dataset', name, revision, select }, { onProgress, onNotice, signal });
    return files.map(({ local }) => local);
  }
  if (!existsSync(source)) {
    const hint = /^[\w.-]+\/[\w.-]+$/.test(source) ? ` (on the Hugging Face Hub it would be hf:${source})` : '';
    throw new UserError(`no dataset ${source}: no such file or folder${hint}`);
  }
  if (!statSync(source).isDirectory()) return [source];
  const paths = readdirSync(source, { recursive: true, encoding: 'utf8' }).sort();
  const files = selectFiles(paths, reference);
  if (files.length === 0) throw new UserError(`${source}: ${nothingSelected(paths, reference)}`);
  return files.map(path => join(source, path));
}

/** The files that hold the data, of all in a folder. */
export function selectFiles(paths: readonly string[], { file, split }: DatasetReference): string[] {
  if (file) return paths.filter(path => matches(path, file));
  const data = paths.filter(path => /\.(parquet|jsonl|ndjson)$/i.test(path));
  if (split) return data.filter(path => isOfSplit(path, split));
  const training = data.filter(path => isOfSplit(path, 'train'));
  return training.length ? training : data;
}

/** Whether a path is what `pattern` says, in which `*` stands for any characters. */
function matches(path: string, pattern: string): boolean {
  return new RegExp(`^${literal(pattern).replaceAll('\\*', '.*')}$`).test(path);
}

/** Whether the split is a word of the path: `data/train-00000-of-00002.parquet`, `train/rows.jsonl`. */
function isOfSplit(path: string, split: string): boolean {
  return new RegExp(`(^|[^a-z0-9])${literal(split)}([^a-z0-9]|$)`, 'i').test(path);
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function nothingSelected(paths: readonly string[], { file, split }: DatasetReference): string {
  const wanted = file
    ? `no file ${file}`
    : split
      ? `no Parquet or JSON lines file of the split ${split}`
      : 'no Parquet or JSON lines file';
  const shown = paths.slice(0, 12).join(', ');
  return `${wanted}; there is ${shown || 'nothing'}${paths.length > 12 ? ', …' : ''}`;
}

import { showCount } from './showCount.ts';

/** How far a download has come, in megabytes. */
export function showDownload(file: string, doneBytes: number, totalBytes: number): void {
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  showCount(`downloading ${file}, MB`, megabytes(doneBytes), megabytes(totalBytes));
}

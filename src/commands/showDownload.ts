import cliProgress from 'cli-progress';
import { showCount } from './showCount.ts';

let bar: { file: string; line: cliProgress.SingleBar } | undefined;

/** How far a download has come: a bar a file in a terminal, elsewhere a line when it is complete. */
export function showDownload(file: string, doneBytes: number, totalBytes: number): void {
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  if (!process.stderr.isTTY) {
    showCount(`downloading ${file}, MB`, megabytes(doneBytes), megabytes(totalBytes));
    return;
  }
  if (bar?.file !== file) {
    const format = `${file}  {bar} {value}/{total} MB  {eta_formatted} left`;
    bar = { file, line: new cliProgress.SingleBar({ format, barsize: 24, hideCursor: true, gracefulExit: false }) };
    bar.line.start(megabytes(totalBytes), 0);
  }
  bar.line.update(megabytes(doneBytes));
  if (doneBytes < totalBytes) return;
  bar.line.stop();
  bar = undefined;
}

/** A process that fetches all files of a dataset, and says so when bytes arrive. Argument: the dataset's name. */
import { fetchFiles } from '../../src/hub/hub.ts';

const { files } = await fetchFiles(
  { type: 'dataset', name: process.argv[2], select: paths => paths },
  { onProgress: (file, done) => done > 0 && console.log(`${file} ${done}`), onNotice: notice => console.log(notice) },
);
console.log(`got ${files.length}`);

import { ApiError } from '../serve/apiError.ts';
import { listen } from '../serve/listen.ts';
import { createWatchApp } from './app.ts';
import { WatchedFolders } from './folders.ts';
import { readPage } from './pageFiles.ts';

export interface WatchOptions {
  /** Runs, or folders that have some in them. */
  folders: readonly string[];
  /** Default 127.0.0.1: this machine alone. */
  host?: string;
  /** 0: any that is free. */
  port?: number;
}

/**
 * Shows runs in a browser until it is closed, whether they go on or have ended. It only reads what they write.
 * @throws UserError where a folder is not there, or the address cannot be taken.
 */
export async function watchRuns({ folders, host = '127.0.0.1', port = 0 }: WatchOptions) {
  const closing = new AbortController();
  const app = createWatchApp({ folders: new WatchedFolders(folders), page: readPage(), host, signal: closing.signal });
  const { server, url } = await listen(app.fetch, host, port, (status, message) => new ApiError(status, message).body);
  return {
    url,
    async close() {
      closing.abort();
      const closed = new Promise(resolve => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

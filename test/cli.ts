import { fileURLToPath } from 'node:url';

/** The command line as users have it, compiled: it starts in a fraction of the time that its source takes. */
export const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

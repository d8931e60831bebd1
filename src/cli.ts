#!/usr/bin/env node
import { failure } from './commands/failure.ts';
import { sodProgram } from './commands/program.ts';
import { explained } from './systemErrors.ts';

// Who reads the output may have seen enough of it, or its disk may be full.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && stream === process.stdout)
      console.error(failure(explained(error, 'standard output')).message);
    process.exit(1);
  });
}

try {
  await sodProgram().parseAsync();
} catch (error) {
  const { exitCode, message } = failure(error);
  process.exitCode = exitCode;
  if (message) console.error(message);
}

/** Exit code of a run that the person stopped. */
export const interruptedExitCode = 130;

/**
 * Runs `work` with a signal that fires at the first Ctrl-C (or SIGTERM), so that it can finish what must not be cut;
 * the second Ctrl-C ends the process at once.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  note = 'Stopping; once more to stop at once.',
): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    console.error(`\n${note}`);
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** For work that can go on later. */
export const savingNote = 'Finishing the running updates and saving; once more to stop at once.';

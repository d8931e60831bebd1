import { Worker, type WorkerOptions } from 'node:worker_threads';

/** A thread could not start, or ended unasked: an error of the program, which nobody may take for an answer. */
export class ThreadError extends Error {
  override name = 'ThreadError';

  /** @param thread what it is for, as in "the thread that compares answers" */
  constructor(thread: string, { hasStarted, cause }: { hasStarted: boolean; cause?: unknown }) {
    const reason = cause instanceof Error ? cause.message : 'it gave no reason';
    super(`${thread} ${hasStarted ? 'ended' : 'could not be started'}: ${reason}`, { cause });
  }
}

/**
 * Starts a worker from a module's URL, given by its source name; compiled code runs its compiled neighbour, source runs
 * through tsx. Nothing of how Node itself was started reaches it: most flags mean nothing to a worker, and some it refuses.
 */
export function startWorker(module: URL, options: WorkerOptions = {}): Worker {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const own: WorkerOptions = { env, ...options, execArgv: [] };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL(module.href.replace(/\.ts$/, '.js')), own);
  // `--import tsx` does nothing in a worker of Node 20, so the worker registers it itself.
  const start = `import { register } from '${import.meta.resolve('tsx/esm/api')}'; register(); await import('${module}');`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(start)}`), own);
}

/** Whether a worker ended because what it was asked for needs more memory than it may have. */
export function ranOutOfMemory(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
}

import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Starts a worker from a module's URL, given by its source name; compiled code runs its compiled neighbour, source runs through tsx. */
export function startWorker(module: URL, options: WorkerOptions = {}): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL(module.href.replace(/\.ts$/, '.js')), options);
  // `--import tsx` does nothing in a worker of Node 20, so the worker registers it itself.
  const start = `import { register } from '${import.meta.resolve('tsx/esm/api')}'; register(); await import('${module}');`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(start)}`), options);
}

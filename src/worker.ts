import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Starts a worker from a module's URL, given by its source name; compiled code runs its compiled neighbour, source runs through tsx. */
export function startWorker(module: URL, options: WorkerOptions = {}): Worker {
  if (import.meta.url.endsWith('.ts')) {
    return new Worker(module, { ...options, execArgv: [...(options.execArgv ?? []), '--import', 'tsx'] });
  }
  return new Worker(new URL(module.href.replace(/\.ts$/, '.js')), options);
}

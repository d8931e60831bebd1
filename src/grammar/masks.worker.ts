import { parentPort, workerData } from 'node:worker_threads';
import { readVocabulary } from '../text/vocabulary.ts';
import type { FromMasks, MasksOptions, ToMasks } from './maskThread.ts';
import { TokenMasks, type Walk } from './tokenMasks.ts';

/** The thread that finds masks. */
const port = parentPort!;
const { checkpoint, size } = workerData as MasksOptions;
const masks = new TokenMasks(readVocabulary(checkpoint), size);
const walks = new Map<number, Walk>();

port.on('message', (message: ToMasks) => {
  if ('end' in message) {
    walks.delete(message.end);
    return;
  }
  const id = 'begin' in message ? message.begin : message.go;
  try {
    answer({ walk: id, ...next(message) });
  } catch (error) {
    const { name, message, stack } = error as Error;
    answer({ walk: id, error: { name, message, stack } });
  }
});

function next(
  message: Exclude<ToMasks, { end: number }>,
): Pick<Extract<FromMasks, { mask: Int32Array }>, 'state' | 'mask'> {
  if ('begin' in message) walks.set(message.begin, masks.begin(message.grammar, message.stop));
  const walk = walks.get('begin' in message ? message.begin : message.go)!;
  const mask = masks.advance(walk, 'go' in message ? message.tokens : []);
  return { state: walk.masks.name(walk.state), mask };
}

function answer(message: FromMasks): void {
  port.postMessage(message);
}

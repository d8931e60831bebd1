import { parentPort } from 'node:worker_threads';
import { ownThread } from '../../workLimit.ts';
import type { FromComparer } from './comparer.ts';
import { sameMath } from './sameMath.ts';

// The engine complains of odd input aloud.
console.error = console.warn = console.log = () => {};

const port = parentPort!;
const send = (message: FromComparer) => port.postMessage(message);

port.on('message', ([a, b]: [string, string]) => {
  let isSame = false;
  try {
    isSame = sameMath(a, b);
  } catch {
    // What cannot be evaluated, for its depth or its size, equals nothing.
  }
  send({ isSame });
});
sameMath('1/2', '0.5'); // What the engine makes at a first use is no part of a comparison.
send({ thread: ownThread() });

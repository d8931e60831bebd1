import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { Interpreter } from './interpreter.ts';
import type { Reply, Request, WorkerData } from './messages.ts';

// Gives way to the engine, whose threads wait for each other: one that is held up holds up all. On Linux a priority is a
// thread's own; elsewhere it is the process's, which must keep its.
if (process.platform === 'linux') setPriority(10);

const port = parentPort!;
const send = (reply: Reply) => port.postMessage(reply);
const interpreter = await Interpreter.load(workerData as WorkerData);

port.on('message', (request: Request) => {
  if (request.kind === 'drop') {
    interpreter.drop(request.session);
    return;
  }
  try {
    if (request.kind === 'program') send({ kind: 'done', ...interpreter.runProgram(request.source, request.input) });
    else runCell(request);
  } catch (error) {
    send({ kind: 'crashed', reason: crashReason(error) });
    port.close();
  }
});
send({ kind: 'ready' });

function runCell({ session, source, history }: Extract<Request, { kind: 'cell' }>): void {
  if (!interpreter.has(session)) {
    for (const [replaying, cell] of history.entries()) {
      send({ kind: 'turn', replaying });
      interpreter.run(session, cell);
    }
    send({ kind: 'turn' });
  }
  send({ kind: 'done', ...interpreter.run(session, source) });
}

/** As Python would have put it. Deep recursion through compiled code overflows the host's stack before Python notices. */
function crashReason(error: unknown): string {
  if (error instanceof RangeError) return 'RecursionError: maximum recursion depth exceeded';
  return `SystemError: the interpreter ended (${error instanceof Error ? error.message : String(error)})`;
}

import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { ownThread } from '../../workLimit.ts';
import { Control } from './control.ts';
import { Interpreter } from './interpreter.ts';
import type { PastCell, Reply, Request, WorkerData } from './messages.ts';

const port = parentPort!;
const send = (reply: Reply) => port.postMessage(reply);
const data = workerData as WorkerData;
const control = new Control(data.control);
const interpreter = await Interpreter.load({ ...data, control });

port.on('message', (request: Request) => {
  try {
    if (request.kind === 'drop') interpreter.drop(request.session);
    else if (request.kind === 'program') runProgram(request);
    else runCell(request);
  } catch (error) {
    send({ kind: 'crashed', reason: crashReason(error) });
    port.close();
  }
});

// Gives way to the engine, whose threads wait for each other, but not so far that a busy machine leaves it nothing. On Linux
// a priority is a thread's own; elsewhere it is the process's, which must keep its.
if (process.platform === 'linux') setPriority(5);
send({ kind: 'ready', thread: ownThread() });

function runProgram({ source, input }: Extract<Request, { kind: 'program' }>): void {
  send({ kind: 'done', ...interpreter.runProgram(source, input), lost: [] });
}

function runCell({ session, source, history }: Extract<Request, { kind: 'cell' }>): void {
  const lost: number[] = [];
  if (!interpreter.has(session) && history.length > 0) {
    for (const [replaying, cell] of history.entries()) {
      if (!replay(session, cell, replaying)) lost.push(replaying);
    }
    send({ kind: 'turn', sleptMs: control.sleptMs });
  }
  send({ kind: 'done', ...interpreter.run(session, source), lost });
}

/** Whether the cell ended as it had the first time. What was stopped then, anywhere, cannot be stopped there again. */
function replay(session: number, { source, ending }: PastCell, replaying: number): boolean {
  if (ending === 'stopped') return false;
  send({ kind: 'turn', sleptMs: control.sleptMs, replaying });
  return interpreter.run(session, source).ending === ending;
}

/** As Python would have put it. Deep recursion through compiled code overflows the host's stack before Python notices. */
function crashReason(error: unknown): string {
  if (error instanceof RangeError) return 'RecursionError: maximum recursion depth exceeded';
  return `SystemError: the interpreter ended (${error instanceof Error ? error.message : String(error)})`;
}

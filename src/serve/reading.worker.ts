import { parentPort, workerData } from 'node:worker_threads';
import { ApiError } from './apiError.ts';
import { parseBody } from './body.ts';
import { readChat } from './chatReading.ts';
import { readCompletion } from './completionReading.ts';
import { PromptModel, type PromptModelOptions } from './promptModel.ts';
import type { FromReading, Kind, ToReading, Work } from './readingThread.ts';
import { type Continued, readResponse } from './responses/reading.ts';

/** The thread that reads requests. */
const port = parentPort!;
const model = new PromptModel(workerData as PromptModelOptions);
const read: { [K in Kind]: (model: PromptModel, body: unknown) => Work[K] | Continued } = {
  chat: readChat,
  completion: readCompletion,
  response: readResponse,
};
/** What has been read, and waits for what it goes on with. */
let waiting: Continued | undefined;

port.on('message', (message: ToReading) => {
  try {
    const work =
      'before' in message ? waiting!.after(message.before) : read[message.kind](model, parseBody(message.body));
    waiting = 'previous' in work ? work : undefined;
    answer(waiting ? { previous: waiting.previous } : { work: work as Work[Kind] });
  } catch (error) {
    const { message, stack } = error as Error;
    answer(error instanceof ApiError ? { refused: { ...error, message } } : { failed: { message, stack } });
  }
});

function answer(message: FromReading): void {
  port.postMessage(message);
}

import { parentPort, workerData } from 'node:worker_threads';
import { ApiError } from './apiError.ts';
import { parseBody } from './body.ts';
import { readChat } from './chatReading.ts';
import { readCompletion } from './completionReading.ts';
import { PromptModel, type PromptModelOptions } from './promptModel.ts';
import type { FromReading, Kind, ToReading, Work } from './readingThread.ts';
import { readResponse } from './responses/reading.ts';

/** The thread that reads requests. */
const port = parentPort!;
const model = new PromptModel(workerData as PromptModelOptions);
const read: { [K in Kind]: (model: PromptModel, body: unknown, before: ToReading['before']) => Work[K] } = {
  chat: readChat,
  completion: readCompletion,
  response: readResponse,
};

port.on('message', ({ kind, body, before }: ToReading) => {
  try {
    answer({ work: read[kind](model, parseBody(body), before) });
  } catch (error) {
    const { message, stack } = error as Error;
    answer(error instanceof ApiError ? { refused: { ...error, message } } : { failed: { message, stack } });
  }
});

function answer(message: FromReading): void {
  port.postMessage(message);
}

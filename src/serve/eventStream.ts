import type { UnderlyingSource } from 'node:stream/web';
import { ApiError } from './apiError.ts';

/** How much of an answer waits for a client that does not read it, before the line is cut. */
const mostUnreadBytes = 4 << 20;

/**
 * Server-sent events: each object that `fill` sends is one. An error, once the answer has begun, is an event as well.
 * @param onGone called when the client goes away before the end
 * @param hangUp closes the connection
 * @param named whether events are called by their `type`; else `[DONE]` stands at the end
 */
export function eventStream(
  fill: (send: (chunk: object) => void) => Promise<void>,
  onGone: () => void,
  hangUp: () => void,
  named = false,
): Response {
  const encoder = new TextEncoder();
  let open = true;
  const source: UnderlyingSource<Uint8Array> = {
    start(controller) {
      const write = (data: string, name?: string) => {
        if (!open) return;
        controller.enqueue(encoder.encode(`${name ? `event: ${name}\n` : ''}data: ${data}\n\n`));
        if (controller.desiredSize! < -mostUnreadBytes) hangUp();
      };
      // Not awaited: a stream whose start is pending is not read.
      void fill(chunk => write(JSON.stringify(chunk), named ? (chunk as { type: string }).type : undefined))
        .catch(error => {
          if (!open) return;
          const told = error instanceof ApiError ? error : new ApiError(500, 'The server failed to answer.');
          write(JSON.stringify(told.body));
        })
        .finally(() => {
          if (!named) write('[DONE]');
          if (!open) return;
          open = false;
          controller.close();
        });
    },
    cancel() {
      open = false;
      onGone();
    },
  };
  const events = new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: 0 }));
  return new Response(events, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    },
  });
}

import { ApiError } from './apiError.ts';

/**
 * Server-sent events: each object that `fill` sends is one, then `[DONE]`. An error, once the answer has begun, is an event as
 * well.
 * @param onGone called when the client goes away before the end
 */
export function eventStream(fill: (send: (chunk: object) => void) => Promise<void>, onGone: () => void): Response {
  const encoder = new TextEncoder();
  let open = true;
  const events = new ReadableStream<Uint8Array>({
    async start(controller) {
      const write = (data: string) => {
        if (open) controller.enqueue(encoder.encode(`data: ${data}\n\n`));
      };
      // Not awaited: a stream whose start is pending is not read.
      void fill(chunk => write(JSON.stringify(chunk)))
        .catch(error => {
          if (!open) return;
          const told = error instanceof ApiError ? error : new ApiError(500, 'The server failed to answer.');
          write(JSON.stringify(told.body));
        })
        .finally(() => {
          if (!open) return;
          write('[DONE]');
          open = false;
          controller.close();
        });
    },
    cancel() {
      open = false;
      onGone();
    },
  });
  return new Response(events, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    },
  });
}

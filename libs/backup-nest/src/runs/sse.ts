import { once } from 'node:events';
import type { HttpRequest, HttpResponse } from '../http/messages.ts';

/** A comment that keeps proxies and clients from giving up on a quiet connection, in ms. */
const HEARTBEAT_MS = 15_000;

export interface StreamEvent {
  id: string;
  data: unknown;
}

/**
 * Sends events as they come, until there are no more, the client goes away, or `closing` is aborted. A client that reads
 * slowly is waited for, so that nothing piles up here. https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function streamEvents(
  request: HttpRequest,
  response: HttpResponse,
  closing: AbortSignal,
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
  heartbeatMs = HEARTBEAT_MS,
): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => {
    gone.abort();
  };
  request.on('close', leave);
  response.on('close', leave);
  const signal = AbortSignal.any([gone.signal, closing]);
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
  });
  response.write('retry: 2000\n\n');
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs);
  try {
    for await (const { id, data } of events(signal)) {
      if (signal.aborted) break;
      if (!response.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`)) await once(response, 'drain', { signal });
    }
  } catch (error) {
    // Waiting for a client that left ends so.
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { HttpResponse } from '../http/messages.ts';
import { streamEvents } from './sse.ts';
import type { StreamEvent } from './sse.ts';

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Opens a stream of `events`; `done` settles with it on the side of the server. */
async function open(
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
  closing: AbortSignal,
): Promise<{ response: IncomingMessage; done: Promise<void> }> {
  let done: Promise<void> = Promise.resolve();
  server = createServer((request, response) => {
    done = streamEvents(request, response as HttpResponse, closing, events, 5);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, resolve).on('error', reject);
  });
  return { response: response.setEncoding('utf8'), done };
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });

async function* silence(signal: AbortSignal): AsyncGenerator<StreamEvent> {
  yield { id: '1', data: { text: 'two\nlines' } };
  await untilAborted(signal);
}

it('a quiet stream sends comments, and ends when the application does', async () => {
  const closing = new AbortController();
  const { response, done } = await open(silence, closing.signal);
  let text = '';
  for await (const piece of response) {
    text += piece as string;
    if (text.split(': still here\n\n').length > 3) closing.abort();
  }
  await done;
  expect(text).toMatch(/^retry: 2000\n\nid: 1\ndata: \{"text":"two\\nlines"\}\n\n(: still here\n\n){3,}$/);
});

it('a client that leaves ends the reading of events', async () => {
  let ended = false;
  async function* watched(signal: AbortSignal): AsyncGenerator<StreamEvent> {
    try {
      yield* silence(signal);
    } finally {
      ended = true;
    }
  }
  const { response, done } = await open(watched, new AbortController().signal);
  response.destroy();
  await done;
  expect(ended).toBe(true);
});

it('a client that reads slowly is waited for', async () => {
  let sent = 0;
  async function* endless(signal: AbortSignal): AsyncGenerator<StreamEvent> {
    while (!signal.aborted) yield { id: String(++sent), data: 'x'.repeat(100_000) };
    await Promise.resolve();
  }
  const { response, done } = await open(endless, new AbortController().signal);
  response.pause();
  let before = -1;
  await expect
    .poll(
      () => {
        const still = sent === before;
        before = sent;
        return still;
      },
      { interval: 100 },
    )
    .toBe(true);
  expect(sent).toBeLessThan(1000);
  response.destroy();
  await done;
});

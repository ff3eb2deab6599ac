import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import type { HttpResponse } from './messages.ts';
import { endWhenUntaken } from './taken.ts';

const IDLE_MS = 50;
/** More than all buffers of a connection hold. */
const MUCH = Buffer.alloc(32 << 20);

/** Connects to a server that answers with `answer`; its connections are gone afterwards. */
async function withServer(
  answer: (response: ServerResponse) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = createServer((_request: IncomingMessage, response) => {
    endWhenUntaken(response as HttpResponse, IDLE_MS);
    answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it('a client that takes nothing of what waits for it loses its connection', async () => {
  const { promise: closed, resolve } = Promise.withResolvers<boolean>();
  const answer = (response: ServerResponse): void => {
    response.on('close', () => {
      resolve(response.writableFinished);
    });
    response.end(MUCH);
  };
  await withServer(answer, async (port) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    expect(await closed).toBe(false);
    socket.destroy();
  });
});

it('a client is not blamed while there is nothing to take', async () => {
  const answer = (response: ServerResponse): void => {
    response.write('first, ');
    void setTimeout(IDLE_MS * 5).then(() => response.end('much later'));
  };
  await withServer(answer, async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await text(response.body!)).toBe('first, much later');
  });
});

it('the next answer on the same connection has no such limit any more', async () => {
  const { promise: second, resolve } = Promise.withResolvers<ServerResponse>();
  let answers = 0;
  const server = createServer((_request, response) => {
    if (answers++ > 0) resolve(response);
    else {
      endWhenUntaken(response as HttpResponse, IDLE_MS);
      response.end('one');
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    await once(socket, 'readable');
    socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    const response = await second;
    expect(response.socket?.timeout).toBe(0);
  } finally {
    socket.destroy();
    server.close();
  }
});

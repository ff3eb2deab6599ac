import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { RunEvent } from '@foodsave-backup/kernel';

export interface StreamedEvent {
  id: string;
  event: RunEvent;
}

/** A client of an event stream: what came so far, and whether the server ended it. */
export class EventStream {
  readonly events: StreamedEvent[] = [];
  readonly status: number;
  readonly ended: Promise<void>;
  readonly #response: IncomingMessage;
  readonly #waiting = new Set<() => void>();
  #text = '';

  private constructor(response: IncomingMessage) {
    this.#response = response;
    this.status = response.statusCode ?? 0;
    response.setEncoding('utf8');
    response.on('data', (piece: string) => {
      this.#take(piece);
    });
    this.ended = new Promise((resolve) => {
      response.on('close', resolve);
    });
  }

  static open(url: string, lastEventId?: string): Promise<EventStream> {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return new Promise((resolve, reject) => {
      get(url, { headers, agent: false }, (response) => {
        resolve(new EventStream(response));
      }).on('error', reject);
    });
  }

  /** Waits for the first event that `wanted` accepts, also one that has come already. */
  async first(wanted: (event: RunEvent) => boolean): Promise<StreamedEvent> {
    for (;;) {
      const found = this.events.find(({ event }) => wanted(event));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  close(): void {
    this.#response.destroy();
  }

  #take(piece: string): void {
    this.#text += piece;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string | undefined =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const [id, data] = [field('id'), field('data')];
      if (id !== undefined && data !== undefined) this.events.push({ id, event: JSON.parse(data) as RunEvent });
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

import { Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A pipeline into the stream that takes an archive: whoever feeds it waits for room, and hears of its failure at once. */
export class Output {
  readonly #done: Promise<void>;
  /** Not `Promise.race`: a promise that lasts as long as the archive would keep something of each race it was in. */
  readonly #waiting = new Set<(error: unknown) => void>();
  #failure: { error: unknown } | undefined;
  readonly #controller = new AbortController();
  #moved: (() => void)[] = [];

  constructor(source: () => AsyncIterable<Uint8Array>, through: readonly Transform[], out: Writable) {
    const watch = new Transform({
      transform: (chunk, _encoding, done) => {
        this.#wake();
        done(null, chunk);
      },
    });
    const streams = [Readable.from(source(), { objectMode: false }), watch, ...through, out];
    // Failures are heard through the pipeline; what comes when that has ended already is no news.
    for (const stream of streams) stream.on('error', () => undefined);
    this.#done = pipeline(streams, { signal: this.#controller.signal });
    this.#done.catch((error: unknown) => {
      this.fail(error);
    });
  }

  /** Whoever waits, now or later, gets this error; the first one stays. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const reject of this.#waiting) reject(this.#failure.error);
    this.#waiting.clear();
    this.#wake();
  }

  /** The result of `work`, or the failure of the stream, whichever comes first. */
  async during<T>(work: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    work.then(resolve, reject);
    if (this.#failure === undefined) this.#waiting.add(reject);
    else reject(this.#failure.error);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /** Resolves when some more bytes have left the source. */
  moved(): Promise<void> {
    return this.during(
      new Promise((resolve) => {
        this.#moved.push(resolve);
      }),
    );
  }

  #wake(): void {
    for (const wake of this.#moved.splice(0)) wake();
  }

  finished(): Promise<void> {
    return this.#done;
  }

  async abort(error: Error): Promise<void> {
    this.#controller.abort(error);
    await this.#done.catch(() => undefined);
  }
}

import { Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A pipeline into the stream that takes an archive: whoever feeds it waits for room, and hears of its failure at once. */
export class Output {
  readonly #done: Promise<void>;
  readonly #failed: Promise<never>;
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
    this.#failed = this.#done.then(
      () => new Promise<never>(() => undefined),
      (error: unknown) => {
        this.#wake();
        throw error;
      },
    );
    this.#failed.catch(() => undefined);
  }

  /** The result of `work`, or the failure of the stream, whichever comes first. */
  during<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed]);
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

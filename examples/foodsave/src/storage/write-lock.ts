import { Injectable } from '@nestjs/common';

/**
 * One write at a time. TypeORM has a single SQLite connection: transactions begun at the same time would nest, and the
 * rollback of one would take the rows of another with it.
 */
@Injectable()
export class WriteLock {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` once all that was asked for before has ended, well or not. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

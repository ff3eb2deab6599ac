import type { PagedContent, StreamContent } from '@foodsave-backup/component';
import { isHole, RateLimit, type Clock, type Piece } from '@foodsave-backup/kernel';
import { withUploadLimit } from '@foodsave-backup/storage';
import type { EngineDeps, RunContext } from './types.ts';

/** Who waits for a lease to be renewed would take its holder for gone. */
const isLease = (key: string): boolean => key.startsWith('locks/');

/**
 * Carries out a run whose uploads keep the configured limit. It gets a storage of its own, and with it a repository that is
 * opened anew: the waits end with this run, whether it was cancelled, failed or is done.
 */
export async function withUploadsPaced<T>(
  deps: EngineDeps,
  context: RunContext,
  work: (deps: EngineDeps) => Promise<T>,
): Promise<T> {
  const { upload } = deps.config.limits;
  if (upload === undefined) return work(deps);
  const ended = new AbortController();
  const signal = AbortSignal.any([context.signal, ended.signal]);
  const limit = new RateLimit(upload, deps.clock);
  const storage = withUploadLimit(deps.storage, { limit, signal, exempt: isLease });
  try {
    return await work({ ...deps, storage, opened: {} });
  } finally {
    // Packs of a run that failed may still wait for their turn, and would keep the process from ending.
    ended.abort();
  }
}

/** The least that is waited for at once, in bytes. */
const PART_MIN = 4096;

/** Slows whoever reads the application: what was read is passed on when its bytes have taken their time. Holes are not read. */
export class ReadPace {
  readonly #limit: RateLimit;
  readonly #part: number;
  readonly #signal: AbortSignal;

  private constructor(rate: number, clock: Clock, signal: AbortSignal) {
    this.#limit = new RateLimit(rate, clock);
    // Progress goes on several times a second.
    this.#part = Math.max(PART_MIN, Math.floor(rate / 4));
    this.#signal = signal;
  }

  static of({ config, clock }: EngineDeps, { signal }: RunContext): ReadPace | undefined {
    const { read } = config.limits;
    return read === undefined ? undefined : new ReadPace(read, clock, signal);
  }

  async *pieces(content: StreamContent): AsyncGenerator<Piece, void, undefined> {
    for await (const piece of content.open({ holes: true })) {
      if (isHole(piece)) {
        yield piece;
        continue;
      }
      for (let at = 0; at < piece.length; at += this.#part) {
        const part = piece.subarray(at, at + this.#part);
        await this.#limit.pass(part.length, this.#signal);
        yield part;
      }
    }
  }

  pages(content: PagedContent): PagedContent {
    return {
      kind: 'paged',
      pageSize: content.pageSize,
      pageCount: content.pageCount,
      read: async (first, count) => {
        const bytes = await content.read(first, count);
        await this.#limit.pass(bytes.length, this.#signal);
        return bytes;
      },
    };
  }
}

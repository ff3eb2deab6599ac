import { throwIfCancelled } from './abort.ts';
import type { Clock } from './clock.ts';

/** The slowest rate that can be asked for, in bytes a second: less is a number whose unit was forgotten. */
const RATE_MIN = 1000;
const RATE_MAX = 1e12;

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** What is said of a rate that is none. */
export const RATE_RULE = 'must be bytes a second with their unit (kB, MB, GB, KiB, MiB or GiB), 1 kB to 1000 GB';

/**
 * Bytes a second: `50 MB`, `1.5MiB`, `800 kB/s`, or their plain number. `undefined` for anything else, and for what is below
 * 1 kB or above 1000 GB. Units are taken as they are written: `Mb` are bits to many people.
 */
export function parseRate(value: unknown): number | undefined {
  const rate = typeof value === 'string' ? fromText(value) : value;
  if (typeof rate !== 'number' || !(rate >= RATE_MIN && rate <= RATE_MAX)) return undefined;
  return Math.round(rate);
}

function fromText(text: string): number | undefined {
  const match = /^(\d{1,13}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})?(?:\/s)?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, number, unit = 'B'] = match;
  const factor = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  return factor === undefined ? undefined : Number(number) * factor;
}

/**
 * What the last so many ms did not use may be used later, which evens out timers that come late. More would let a second in
 * which much is waiting go well beyond the limit.
 */
const SAVED_MS = 100;

/** A part of the time that bytes take at the rate of a limit: from one moment of a clock's monotonic time to another, in ms. */
export interface Slot {
  readonly from: number;
  readonly until: number;
}

/**
 * A limit of bytes a second that everybody who has it shares: a token bucket, kept as the moment at which all bytes so far have
 * taken their time. Slots do not overlap, so that in any T seconds at most `rate * (T + 0.1)` bytes have a slot that begins then,
 * and one item beyond, however large.
 */
export class RateLimit {
  readonly #rate: number;
  readonly #clock: Clock;
  #takenUntil: number;

  /** `rate` in bytes a second. */
  constructor(rate: number, clock: Clock) {
    if (!(rate > 0)) throw new RangeError(`A rate is a number above zero, not ${rate}`);
    this.#rate = rate;
    this.#clock = clock;
    this.#takenUntil = clock.monotonic();
  }

  /** The time of so many bytes, after that of all before them. */
  take(bytes: number): Slot {
    const from = Math.max(this.#takenUntil, this.#clock.monotonic() - SAVED_MS);
    this.#takenUntil = from + (bytes / this.#rate) * 1000;
    return { from, until: this.#takenUntil };
  }

  /** Waits until a moment of the monotonic time has come. Throws CANCELLED as soon as the signal fires. */
  async reach(moment: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      throwIfCancelled(signal);
      const ms = moment - this.#clock.monotonic();
      if (ms <= 0) return;
      try {
        // A timer takes whole ms and may come early by a part of one; beyond 31 bits it would come at once.
        await this.#clock.sleep(Math.min(Math.ceil(ms), 2 ** 31 - 1), signal);
      } catch (error) {
        throwIfCancelled(signal);
        throw error;
      }
    }
  }

  /** Waits as long as these bytes take. Throws CANCELLED as soon as the signal fires. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    await this.reach(this.take(bytes).until, signal);
  }
}

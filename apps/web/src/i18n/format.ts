import type { Locale } from './catalogue.ts';

export interface Formatter {
  number: (value: number, digits?: number) => string;
  percent: (fraction: number) => string;
  /** Decimal units, as disks are sold: 1.8 GB. */
  bytes: (value: number) => string;
  /** A span in its one or two largest units. */
  duration: (ms: number) => string;
  /** `3 hours ago` */
  relative: (at: number, now: number) => string;
  /** `23 Nov, 02:00`, with the year when it is not the present one. */
  dateTime: (at: number, now: number) => string;
  /** Everything, for a title. */
  fullDateTime: (at: number) => string;
}

const NBSP = '\u00a0';
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SPANS = [
  ['year', 365 * DAY],
  ['month', 30 * DAY],
  ['day', DAY],
  ['hour', HOUR],
  ['minute', MINUTE],
] as const;

export function formatter(locale: Locale): Formatter {
  // English with day before month and a 24-hour clock: times of backups are compared with logs.
  const dates = locale === 'en' ? 'en-GB' : locale;
  const relative = new Intl.RelativeTimeFormat(dates, { numeric: 'always' });
  const near = new Intl.RelativeTimeFormat(dates, { numeric: 'auto' });
  const short = new Intl.DateTimeFormat(dates, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  const long = new Intl.DateTimeFormat(dates, { dateStyle: 'medium', timeStyle: 'short' });
  const full = new Intl.DateTimeFormat(dates, { dateStyle: 'full', timeStyle: 'long' });
  const unit = (value: number, name: 'day' | 'hour' | 'minute' | 'second'): string =>
    new Intl.NumberFormat(dates, {
      style: 'unit',
      unit: name,
      unitDisplay: locale === 'en' ? 'narrow' : 'short',
    }).format(value);

  return {
    number: (value, digits = 0) => new Intl.NumberFormat(dates, { maximumFractionDigits: digits }).format(value),
    percent: (fraction) =>
      new Intl.NumberFormat(dates, { style: 'percent', maximumFractionDigits: 0 }).format(
        Math.floor(fraction * 100) / 100,
      ),
    bytes(value) {
      let index = 0;
      let scaled = value;
      // Above 100 no digits are shown: from 999.5 on that would be 1000.
      while (Math.abs(scaled) >= (index === 0 ? 1000 : 999.5) && index < UNITS.length - 1) {
        scaled /= 1000;
        index++;
      }
      const digits = index === 0 || scaled >= 100 ? 0 : 1;
      return `${new Intl.NumberFormat(dates, { maximumFractionDigits: digits }).format(scaled)}${NBSP}${UNITS[index] ?? 'B'}`;
    },
    duration(ms) {
      const total = Math.max(0, ms);
      if (total < MINUTE)
        return unit(total < 10 * SECOND ? Math.round(total / 100) / 10 : Math.round(total / SECOND), 'second');
      const pairs: [string, string | undefined][] = [];
      const split = (
        large: number,
        small: number,
        a: 'day' | 'hour' | 'minute',
        b: 'hour' | 'minute' | 'second',
      ): void => {
        const whole = Math.floor(total / large);
        const rest = Math.floor((total - whole * large) / small);
        pairs.push([unit(whole, a), rest > 0 ? unit(rest, b) : undefined]);
      };
      if (total >= DAY) split(DAY, HOUR, 'day', 'hour');
      else if (total >= HOUR) split(HOUR, MINUTE, 'hour', 'minute');
      else split(MINUTE, SECOND, 'minute', 'second');
      return pairs
        .flat()
        .filter((text) => text !== undefined)
        .join(' ');
    },
    relative(at, now) {
      const age = now - at;
      for (const [name, span] of SPANS) {
        if (Math.abs(age) >= span) return relative.format(-Math.trunc(age / span), name);
      }
      // Clocks of two machines differ by seconds; "in 2 seconds" would only confuse.
      const seconds = Math.max(0, Math.trunc(age / SECOND));
      return seconds < 5 ? near.format(0, 'second') : relative.format(-seconds, 'second');
    },
    dateTime: (at, now) => (new Date(at).getFullYear() === new Date(now).getFullYear() ? short : long).format(at),
    fullDateTime: (at) => full.format(at),
  };
}

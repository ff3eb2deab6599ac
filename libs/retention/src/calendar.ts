import { BackupError } from '@foodsave-backup/kernel';

/** The calendar periods of one instant, as sortable labels. */
export interface Periods {
  /** `2026-11-23` */
  day: string;
  /** ISO 8601 week, which belongs to the year of its Thursday: `2026-W48`. */
  week: string;
  /** `2026-11` */
  month: string;
}

const DAY_MS = 86_400_000;

/**
 * Turns instants (ms since the epoch) into periods of the IANA time zone `timeZone`, by the zone's own rules for daylight
 * saving. Throws CONFIG_INVALID for a zone that does not exist.
 */
export function createCalendar(timeZone: string): (ms: number) => Periods {
  const format = createFormat(timeZone);
  return (ms) => {
    const { year, month, day } = dateIn(format, ms);
    return {
      day: `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`,
      week: isoWeek(year, month, day),
      month: `${pad(year, 4)}-${pad(month, 2)}`,
    };
  };
}

function createFormat(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
  } catch (error) {
    throw new BackupError('CONFIG_INVALID', `"${timeZone.slice(0, 60)}" is not a time zone`, {
      hint: 'Use a name of the IANA time zone database, for example Europe/Warsaw or UTC.',
      cause: error,
    });
  }
}

function dateIn(format: Intl.DateTimeFormat, ms: number): { year: number; month: number; day: number } {
  const date = { year: 0, month: 0, day: 0 };
  for (const { type, value } of format.formatToParts(ms)) {
    if (type === 'year' || type === 'month' || type === 'day') date[type] = Number(value);
  }
  return date;
}

/** ISO 8601: weeks start on Monday, and week 1 is the one with the year's first Thursday. */
function isoWeek(year: number, month: number, day: number): string {
  // A calendar date has no zone: UTC here only counts days.
  const date = Date.UTC(year, month - 1, day);
  const weekday = (new Date(date).getUTCDay() + 6) % 7;
  const thursday = date + (3 - weekday) * DAY_MS;
  const weekYear = new Date(thursday).getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(weekYear, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${pad(weekYear, 4)}-W${pad(week, 2)}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

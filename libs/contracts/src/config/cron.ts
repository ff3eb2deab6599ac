interface Field {
  name: string;
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 7, names: WEEKDAYS },
];

/**
 * Why `expression` is not a cron expression of five fields (minute, hour, day of month, month, day of week; lists, ranges,
 * steps, three-letter names of months and weekdays; POSIX crontab(5)), or `undefined` when it is one. An expression that
 * can never come true, such as 30 February, is refused too. The reason never quotes the expression.
 */
export function cronProblem(expression: string): string | undefined {
  if (expression.length > 200) return 'is longer than 200 characters';
  const parts = expression.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    return 'must have five fields: minute, hour, day of month, month, day of week';
  }
  const values: Set<number>[] = [];
  for (const [i, field] of FIELDS.entries()) {
    const parsed = parseField(parts[i] ?? '', field);
    if (parsed === undefined)
      return `has a ${field.name} that is not one (${String(field.min)} to ${String(field.max)})`;
    values.push(parsed);
  }
  const [, , days, months] = values;
  // Cron runs when either the day of month or the day of week fits, if both are restricted: only a lone day can be impossible.
  if (parts[4]?.startsWith('*') === true && days && months) {
    const possible = [...months].some((month) => [...days].some((day) => day <= (DAYS_IN_MONTH[month - 1] ?? 0)));
    if (!possible) return 'names a day that none of its months has, so that it would never run';
  }
  return undefined;
}

function parseField(text: string, field: Field): Set<number> | undefined {
  const out = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:\*|([a-z0-9]{1,3})(?:-([a-z0-9]{1,3}))?)(?:\/([0-9]{1,3}))?$/i.exec(part);
    if (!match) return undefined;
    const [, low, high, stepText] = match;
    const step = stepText === undefined ? 1 : Number(stepText);
    // A step needs something to step over: `5/10` means different things in different crons.
    if (step < 1 || (stepText !== undefined && low !== undefined && high === undefined)) return undefined;
    const from = low === undefined ? field.min : parseValue(low, field);
    const to = low === undefined ? field.max : high === undefined ? from : parseValue(high, field);
    if (from === undefined || to === undefined || from > to) return undefined;
    for (let value = from; value <= to; value += step) out.add(value);
  }
  return out;
}

function parseValue(text: string, field: Field): number | undefined {
  if (/^[0-9]{1,2}$/.test(text)) {
    const value = Number(text);
    return value >= field.min && value <= field.max ? value : undefined;
  }
  const index = field.names?.indexOf(text.toLowerCase()) ?? -1;
  return index < 0 ? undefined : index + field.min;
}

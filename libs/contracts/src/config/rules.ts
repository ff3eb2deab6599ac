import { ValidateBy, ValidateIf, isIP } from '../validation.ts';
import type { ValidationArguments, ValidationOptions } from '../validation.ts';
import { parseRate, RATE_RULE } from '@foodsave-backup/kernel';
import { cronProblem } from './cron.ts';

/** Levels of the log, least to most urgent. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const LOG_LEVEL_ALIASES: Readonly<Record<string, LogLevel>> = {
  verbose: 'trace',
  warning: 'warn',
  err: 'error',
  critical: 'fatal',
  off: 'silent',
  none: 'silent',
};

/** A log level in any case, with the usual other names (`WARNING`, `critical`, `off`), or `undefined`. */
export function parseLogLevel(value: unknown): LogLevel | undefined {
  if (typeof value !== 'string') return undefined;
  const level = value.trim().toLowerCase();
  return LOG_LEVELS.find((known) => known === level) ?? LOG_LEVEL_ALIASES[level];
}

/** `true/false`, `1/0`, `yes/no`, `on/off` in any case, or `undefined`. */
export function parseBoolean(value: string): boolean | undefined {
  const text = value.trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  return undefined;
}

/**
 * Options of a class-validator decorator: the reason (a predicate without subject, which never quotes the value, because
 * the value may be a secret in the wrong place) and an example that would be accepted.
 */
export function says(reason: string, example: string): ValidationOptions {
  return { message: reason, context: { example } };
}

/** May be left out. Unlike IsOptional a key that is there without a value is judged, not skipped. */
export function MayBeAbsent(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}

/** A rule of our own. `check` answers true, or false, or the reason why not. */
export function Rule(
  name: string,
  check: (value: unknown, object: object) => boolean | string,
  options: ValidationOptions,
): PropertyDecorator {
  return ValidateBy(
    {
      name,
      validator: {
        validate: (value: unknown, args?: ValidationArguments) => check(value, args?.object ?? {}) === true,
        defaultMessage: (args?: ValidationArguments) => {
          const answer = check(args?.value, args?.object ?? {});
          return typeof answer === 'string' ? answer : 'is not valid';
        },
      },
    },
    options,
  );
}

/**
 * Why `value` cannot be a path of the file system, or `undefined`. A leading `~` is refused, because nothing would expand it
 * and a directory of that name would appear.
 */
export function pathProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a path (text)';
  if (value.trim() === '') return 'must be a path and is empty';
  if (value.length > 4096) return 'is longer than 4096 characters';
  if (/\p{Cc}/u.test(value)) return 'contains a control character';
  if (value === '~' || value.startsWith('~/')) return 'starts with "~", which is not expanded: write the path in full';
  return undefined;
}

export function IsPath(example: string): PropertyDecorator {
  return Rule('isPath', (value) => pathProblem(value) ?? true, { context: { example } });
}

export function IsCron(example: string): PropertyDecorator {
  return Rule(
    'isCron',
    (value) => {
      if (value === false) return true;
      if (typeof value !== 'string') return 'must be a cron expression in quotes, or false for "not scheduled"';
      return cronProblem(value) ?? true;
    },
    { context: { example } },
  );
}

/** A rate that `parseRate` has made a number of: bytes a second. */
export function IsRate(example: string): PropertyDecorator {
  return Rule('isRate', (value) => typeof value === 'number' && parseRate(value) === value, says(RATE_RULE, example));
}

/** Whether Intl knows `zone` (an IANA name such as `Europe/Warsaw`, `UTC`). */
export function isTimeZone(zone: unknown): zone is string {
  if (typeof zone !== 'string' || zone.length > 100) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export function IsTimeZone(): PropertyDecorator {
  return Rule('isTimeZone', isTimeZone, says('is not a known time zone (IANA name)', 'timezone: Europe/Warsaw'));
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;

/** An IP address or a host name, without port and brackets. */
export function isHost(value: unknown): value is string {
  return typeof value === 'string' && (isIP(value) || (HOST_NAME.test(value) && !/^[0-9.]+$/.test(value)));
}

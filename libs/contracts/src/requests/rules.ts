import { BackupError, assertBackupName } from '@foodsave-backup/kernel';
import type { ErrorCode } from '@foodsave-backup/kernel';
import { Transform } from '../validation.ts';
import { ValidateBy } from '../validation.ts';
import type { ValidationOptions } from '../validation.ts';

/** What a rule tells besides its message: an accepted example, and the code of the error if it is the only problem. */
export interface RuleContext {
  example: string;
  code?: ErrorCode;
}

/** `true`, `false`, `1` and `0` as texts (query) become booleans; anything else stays as it is and is refused. */
export function ToBoolean(): PropertyDecorator {
  const texts: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && Object.hasOwn(texts, value.toLowerCase()) ? texts[value.toLowerCase()] : value,
  );
}

/** A text of up to 15 digits becomes a number; anything else stays as it is and is refused. */
export function ToInteger(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value,
  );
}

/** `a,b` or a list (of such texts) becomes a list without blanks and repetitions. Elements that are no text stay. */
export function ToList(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) => {
    if (typeof value !== 'string' && !Array.isArray(value)) return value;
    const items = (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap((item) =>
      typeof item === 'string' ? item.split(',').map((part) => part.trim()) : [item],
    );
    return [...new Set(items)];
  });
}

/** A name that a backup can have (characters, length, not reserved). */
export function IsBackupName(): PropertyDecorator {
  const context: RuleContext = { example: 'pre_deployment_backup', code: 'NAME_INVALID' };
  return ValidateBy(
    {
      name: 'isBackupName',
      validator: { validate: (value: unknown) => typeof value === 'string' && isBackupName(value) },
    },
    {
      message:
        'must be 1 to 100 letters, digits, dots, dashes or underscores, start with a letter or a digit and not be a reserved name',
      context,
    },
  );
}

function isBackupName(value: string): boolean {
  try {
    assertBackupName(value);
    return true;
  } catch (error) {
    if (error instanceof BackupError) return false;
    throw error;
  }
}

/** Options of a class-validator decorator: a reason that never quotes the value, and an example. */
export function says(reason: string, example: string): ValidationOptions {
  const context: RuleContext = { example };
  return { message: reason, context };
}

/** `database` (all of that kind) or `database:main` (one instance). */
export const COMPONENT_SELECTOR = /^[a-z][a-z0-9_]{0,31}(:[a-z0-9][a-z0-9_-]{0,31})?$/;

/** A relative POSIX path inside a backup: no control characters, no empty, `.` or `..` segment; a closing slash is fine. */
export const LAYOUT_PATH = /^(?!\/)(?!(?:.*\/)?\.{1,2}(?:\/|$))(?!.*\/\/)[^\p{Cc}]{1,4096}$/u;

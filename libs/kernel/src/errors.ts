/**
 * Every failure that a user, a script or another process can see. A code never changes its meaning; exit codes, HTTP
 * statuses and UI texts are exhaustive records over this union, so that a code without a row does not compile.
 */
export const ERROR_CODES = [
  'USAGE',
  'CONFIG_INVALID',
  'VALIDATION_FAILED',
  'NAME_INVALID',
  'NAME_TAKEN',
  'BACKUP_NOT_FOUND',
  'BACKUP_HELD',
  'COMPONENT_UNKNOWN',
  'REPOSITORY_NOT_FOUND',
  'REPOSITORY_EXISTS',
  'REPOSITORY_NOT_WRITABLE',
  'REPOSITORY_DAMAGED',
  'MANIFEST_DAMAGED',
  'FORMAT_TOO_NEW',
  'LOCKED',
  'WRONG_KEY',
  'KEY_MISSING',
  'NO_SPACE',
  'SOURCE_MISSING',
  'SOURCE_UNREADABLE',
  'SOURCE_CORRUPT',
  'SOURCE_LOCKED',
  'SOURCE_CHANGED',
  'COMPONENT_FAILED',
  'DATABASE_BACKUP_FAILED',
  'VERIFICATION_FAILED',
  'DATA_DAMAGED',
  'RESTORE_FAILED',
  'TARGET_INVALID',
  'PATH_NOT_FOUND',
  'ARCHIVE_INVALID',
  'CONFIRMATION_REQUIRED',
  'NOTHING_TO_UNDO',
  'RETENTION_INVALID',
  'CLOCK_SKEW',
  'RUN_NOT_FOUND',
  'RUN_FINISHED',
  'IDEMPOTENCY_CONFLICT',
  'HOST_NOT_ALLOWED',
  'ORIGIN_NOT_ALLOWED',
  'ROUTE_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'PORT_IN_USE',
  'CANCELLED',
  'INTERRUPTED',
  'TIMEOUT',
  'IO_ERROR',
  'NODE_TOO_OLD',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface BackupErrorOptions {
  /** What the reader should do next, as one or two imperative sentences. */
  hint?: string;
  cause?: unknown;
  /** Machine-readable facts (names, paths, counts); never a secret. */
  details?: Readonly<Record<string, unknown>>;
}

/**
 * The one error type that crosses a boundary: a stable code, what happened, and what to do next.
 *
 * `instanceof` also holds for an error of another copy of this module: a process may have one in its bundle and a second
 * that a plugin imports.
 */
export class BackupError extends Error {
  /** Of this class, in every copy. A class that extends it and is asked for by `instanceof` has its own. */
  static readonly kind: symbol = Symbol.for('@foodsave-backup/BackupError');

  static {
    markKind(this);
  }

  static override [Symbol.hasInstance](this: { readonly kind: symbol }, value: unknown): boolean {
    return typeof value === 'object' && value !== null && this.kind in value;
  }

  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: BackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BackupError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }

  toJSON(): SerializedError {
    return serializeError(this);
  }
}

/** Makes the instances of a class with a `kind` known as such to all copies of the class. */
export function markKind({ kind, prototype }: { readonly kind: symbol; readonly prototype: object }): void {
  Object.defineProperty(prototype, kind, { value: true });
}

/** What an error looks like in journals, events, JSON output and across processes. */
export interface SerializedError {
  code: ErrorCode;
  message: string;
  hint?: string;
  details?: Readonly<Record<string, unknown>>;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && (ERROR_CODES as readonly string[]).includes(value);
}

/** Numbers of Linux for which libuv has no name: Node gives the code `Unknown system error -122`. */
const UNNAMED_BY_NODE: Readonly<Record<number, string>> = { [-116]: 'ESTALE', [-122]: 'EDQUOT' };

/** The `code` of a Node.js system error (`ENOENT`, …), wherever it hides in the chain of causes. */
export function systemErrorCode(error: unknown): string | undefined {
  for (
    let current: unknown = error, depth = 0;
    current instanceof Error && depth < 8;
    current = current.cause, depth++
  ) {
    const code: unknown = (current as { code?: unknown }).code;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
    const errno: unknown = (current as { errno?: unknown }).errno;
    const unnamed = typeof errno === 'number' ? UNNAMED_BY_NODE[errno] : undefined;
    if (unnamed !== undefined) return unnamed;
  }
  return undefined;
}

const SYSTEM_ERRORS: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ENOSPC: ['NO_SPACE', 'No space left on the device', 'Free some space or run cleanup, then try again.'],
  EDQUOT: ['NO_SPACE', 'The disk quota is used up', 'Raise the quota or run cleanup, then try again.'],
  EROFS: [
    'REPOSITORY_NOT_WRITABLE',
    'The file system is read-only',
    'Remount it writable or choose another directory.',
  ],
  EACCES: ['IO_ERROR', 'Permission denied', 'Check the owner and the mode of the path.'],
  EPERM: ['IO_ERROR', 'Operation not permitted', 'Check the owner and the attributes of the path.'],
};

/** Any thrown value as a BackupError. Unknown ones become `INTERNAL` with their message kept and their stack as cause only. */
export function toBackupError(error: unknown, fallback: ErrorCode = 'INTERNAL'): BackupError {
  if (error instanceof BackupError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return new BackupError('CANCELLED', 'The operation was cancelled', { cause: error });
  }
  const system = systemErrorCode(error);
  const known = system === undefined ? undefined : SYSTEM_ERRORS[system];
  const message = error instanceof Error ? error.message : String(error);
  if (known) return new BackupError(known[0], `${known[1]} (${message})`, { hint: known[2], cause: error });
  if (system !== undefined && fallback === 'INTERNAL') {
    return new BackupError('IO_ERROR', message, {
      hint: 'Check the path and the device, then try again.',
      cause: error,
    });
  }
  const options: BackupErrorOptions = { cause: error };
  if (fallback === 'INTERNAL') options.hint = 'This is a defect. Please report it with the output of --verbose.';
  return new BackupError(fallback, message, options);
}

export function serializeError(error: unknown): SerializedError {
  const e = toBackupError(error);
  const out: SerializedError = { code: e.code, message: e.message };
  if (e.hint !== undefined) out.hint = e.hint;
  if (e.details !== undefined) out.details = e.details;
  return out;
}

export function deserializeError(value: SerializedError): BackupError {
  const options: BackupErrorOptions = {};
  if (value.hint !== undefined) options.hint = value.hint;
  if (value.details !== undefined) options.details = value.details;
  return new BackupError(isErrorCode(value.code) ? value.code : 'INTERNAL', value.message, options);
}

import type { ErrorCode } from '@foodsave-backup/kernel';

/** One parameter that is wrong. */
export class ProblemItem {
  /**
   * Name of the parameter; empty when it is the body as a whole.
   * @example 'limit'
   */
  parameter!: string;

  /**
   * What is wrong with it; never its value.
   * @example 'must be a whole number from 1 to 500'
   */
  reason!: string;

  /**
   * A value that would be accepted.
   * @example '50'
   */
  example?: string;
}

/** Every error answer: problem details as in RFC 9457, sent as `application/problem+json`. */
export class Problem {
  /**
   * Address that identifies the kind of problem.
   * @example 'urn:foodsave-backup:error:BACKUP_NOT_FOUND'
   */
  type!: string;

  /**
   * The kind of problem in words.
   * @example 'Backup not found'
   */
  title!: string;

  /**
   * HTTP status.
   * @example 404
   */
  status!: number;

  /**
   * What happened this time.
   * @example 'There is no backup named "monday"'
   */
  detail!: string;

  /**
   * Stable code for programs; it never changes its meaning.
   * @example 'BACKUP_NOT_FOUND'
   */
  code!: ErrorCode;

  /**
   * What to do next.
   * @example 'List the backups to see their names.'
   */
  hint?: string;

  /**
   * Path of the request.
   * @example '/api/v2/backup/restore/monday'
   */
  instance?: string;

  /** Of a request that is not valid: each parameter that is wrong. */
  errors?: ProblemItem[];
}

/** The `type` of a problem document. */
export function problemType(code: ErrorCode): string {
  return `urn:foodsave-backup:error:${code}`;
}

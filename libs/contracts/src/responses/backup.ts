/** An error as it stands in a backup, a run or an event. */
export class ErrorInfo {
  /**
   * Stable code for programs.
   * @example 'SOURCE_MISSING'
   */
  code!: string;

  /** What happened. */
  message!: string;

  /** What to do next. */
  hint?: string;
}

/** What is known about the bytes of a backup. */
export class Verification {
  /**
   * `none`: never looked at. `new`: what the create stored was read back, reused packs were present. `quick`: manifest,
   * presence, sizes. `full`: every byte read and compared.
   * @example 'full'
   */
  level!: 'none' | 'new' | 'quick' | 'full';

  /**
   * `none` while nothing was looked at.
   * @example 'ok'
   */
  status!: 'ok' | 'damaged' | 'none';

  /**
   * ISO 8601 UTC; absent for level `none`.
   * @example '2026-11-23T02:00:09.000Z'
   */
  at?: string;
}

/** One component instance in a backup. */
export class BackupComponent {
  /**
   * Kind of component.
   * @example 'database'
   */
  type!: string;

  /**
   * `failed`: nothing of it is in the backup.
   * @example 'complete'
   */
  status!: 'complete' | 'failed';

  /** @example 1 */
  files!: number;

  /**
   * Bytes that a restore gives.
   * @example 250744832
   */
  sizeBytes!: number;

  /**
   * Bytes that this backup added to the repository.
   * @example 5557924
   */
  storedBytes!: number;

  /**
   * ISO 8601 UTC: whose state was captured.
   * @example '2026-11-23T02:00:01.000Z'
   */
  capturedAt?: string;

  /** What was computed on the captured bytes: tables and rows, vectors, files. */
  facts!: Record<string, unknown>;

  error?: ErrorInfo;
}

/** One named, immutable point in time of one or more components. */
export class Backup {
  /** @example 'full_backup_20261123_020000' */
  name!: string;

  /** @example '01k9z3s5e8m0v6qv7c2d4f8g1h' */
  id!: string;

  /**
   * `partial`: a component could not be captured, or its source was corrupt. `damaged`: a verification found damage.
   * @example 'complete'
   */
  status!: 'complete' | 'partial' | 'damaged';

  /** @example '2026-11-23T02:00:00.000Z' */
  createdAt!: string;

  /** @example '2026-11-23T02:00:09.000Z' */
  finishedAt!: string;

  /** @example 9000 */
  durationMs!: number;

  /**
   * What started it: `manual`, `schedule`, `safety`, `first-start`, `deploy`.
   * @example 'manual'
   */
  trigger!: string;

  tags!: string[];

  /**
   * Bytes that a restore gives.
   * @example 276258702
   */
  sizeBytes!: number;

  /**
   * Bytes that this backup added to the repository.
   * @example 5558145
   */
  storedBytes!: number;

  /** By instance, for example `database:main`. */
  components!: Record<string, BackupComponent>;

  verification!: Verification;

  /** Pinned: retention never deletes it. */
  hold!: boolean;

  /**
   * Why it is held, if someone said so.
   * @example 'before the migration'
   */
  holdReason?: string;

  /** Retention tiers that keep it now: `daily`, `weekly`, `monthly`. */
  tiers!: string[];

  error?: ErrorInfo;
}

/** A page of a list. */
export interface Page<T> {
  items: T[];
  total: number;
  nextCursor?: string;
}

export class PageInfo {
  /**
   * Matches in all.
   * @example 42
   */
  total!: number;

  /** Give it as `cursor` for the next page; absent on the last one. */
  nextCursor?: string;
}

export class BackupPage extends PageInfo implements Page<Backup> {
  /** Newest first. */
  items!: Backup[];
}

/** One entry of a directory of a backup. */
export class TreeEntry {
  /**
   * Relative to the directory of the configuration file.
   * @example 'data/foodsave.db'
   */
  path!: string;

  /** @example 'file' */
  type!: 'file' | 'directory' | 'symlink' | 'fifo';

  /** Of a directory: everything below it. */
  sizeBytes!: number;

  /** Of a directory: files below it. */
  files?: number;

  /**
   * Permission bits.
   * @example 420
   */
  mode?: number;

  /** @example '2026-11-22T20:15:00.000Z' */
  modifiedAt?: string;

  /** Of a file, 64 hexadecimal digits; absent for one with holes of more than a GiB, which is hashed otherwise. */
  sha256?: string;

  linkTarget?: string;
}

/** One directory of a backup, over all of its components or one. */
export class TreeListing {
  /** Name of the backup. */
  name!: string;

  component?: string;

  /** `''` for the top. */
  path!: string;

  entries!: TreeEntry[];
}

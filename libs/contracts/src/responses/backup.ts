import type { ErrorCode } from '@foodsave-backup/kernel';

/** An error as it stands in a backup, a run or an event. */
export class ErrorInfo {
  /**
   * Stable code for programs.
   * @example 'SOURCE_MISSING'
   */
  code!: ErrorCode;

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
   * `null` for level `none`.
   * @example 'ok'
   */
  status!: 'ok' | 'damaged' | null;

  /**
   * ISO 8601 UTC; `null` for level `none`.
   * @example '2026-11-23T02:00:09.000Z'
   */
  at!: string | null;
}

/** One component instance in a backup. */
export class BackupComponent {
  /**
   * Kind of component.
   * @example 'database'
   */
  type!: string;

  /**
   * `partial`: some of the source could not be read. `failed`: nothing of it is in the backup.
   * @example 'complete'
   */
  status!: 'complete' | 'partial' | 'failed';

  /**
   * Files.
   * @example 1
   */
  files!: number;

  /**
   * Bytes of the contents.
   * @example 52428800
   */
  sizeBytes!: number;

  /**
   * Bytes that this backup added to the repository for it.
   * @example 131072
   */
  storedBytes!: number;

  /**
   * The instant whose state was captured, ISO 8601 UTC; `null` when it failed.
   * @example '2026-11-23T02:00:01.000Z'
   */
  capturedAt!: string | null;

  /** What the component's driver counted on the captured bytes (tables with row counts, vectors, keys, …). */
  facts!: Record<string, unknown>;

  /** Why it failed. */
  error?: ErrorInfo;
}

/** A pin: retention never deletes a held backup. */
export class Hold {
  /** Why it is held, as its maker wrote it. */
  reason?: string;

  /** Since when, ISO 8601 UTC. */
  since!: string;
}

/** One named, immutable point in time of one or more components. */
export class Backup {
  /**
   * Unique in the repository without regard to case.
   * @example 'pre_deployment_backup'
   */
  name!: string;

  /**
   * Identity of the backup; never used twice, unlike the name.
   * @example '01k9z3s5e8m0v6qv7c2d4f8g1h'
   */
  id!: string;

  /**
   * `partial`: a component failed. `damaged`: bytes of it are missing or wrong.
   * @example 'complete'
   */
  status!: 'complete' | 'partial' | 'damaged';

  /**
   * ISO 8601 UTC.
   * @example '2026-11-23T02:00:00.000Z'
   */
  createdAt!: string;

  /**
   * ISO 8601 UTC.
   * @example '2026-11-23T02:00:04.200Z'
   */
  finishedAt!: string;

  /**
   * Milliseconds.
   * @example 4200
   */
  durationMs!: number;

  /**
   * What started it: `manual`, `schedule`, `safety` (before a live restore), …
   * @example 'manual'
   */
  trigger!: string;

  /** @example ['release-42'] */
  tags!: string[];

  /**
   * Bytes of the contents of all components.
   * @example 73400320
   */
  sizeBytes!: number;

  /**
   * Bytes that this backup added to the repository.
   * @example 262144
   */
  storedBytes!: number;

  /** By instance (`database:main`). */
  components!: Record<string, BackupComponent>;

  verification!: Verification;

  /** `null` when it is not held. */
  hold!: Hold | null;

  /**
   * Tiers of the retention that keep it now.
   * @example ['daily', 'weekly']
   */
  tiers!: string[];

  /** Why it is not complete. */
  error?: ErrorInfo;
}

/** A page of a longer list. */
export interface Page<T> {
  items: T[];
  /** Entries of all pages. */
  total: number;
  /** `cursor` of the next page; `null` on the last. */
  nextCursor: string | null;
}

/** What every page says besides its items. */
export class PageInfo {
  /** Entries of all pages. */
  total!: number;

  /** `cursor` of the next page; `null` on the last. */
  nextCursor!: string | null;
}

/** A page of backups, newest first. */
export class BackupPage extends PageInfo implements Page<Backup> {
  items!: Backup[];
}

/** One file, folder or link of a backup. */
export class TreeEntry {
  /**
   * Name without its folder.
   * @example 'invoice.pdf'
   */
  name!: string;

  /**
   * Path in the backup.
   * @example 'data/uploads/invoice.pdf'
   */
  path!: string;

  /** @example 'file' */
  kind!: 'file' | 'directory' | 'symlink';

  /**
   * Component instance that it belongs to.
   * @example 'files:main'
   */
  component!: string;

  /**
   * Bytes; 0 for folders and links.
   * @example 18234
   */
  sizeBytes!: number;

  /** ISO 8601 UTC. */
  modifiedAt!: string;

  /**
   * Permission bits in octal.
   * @example '0644'
   */
  mode!: string;

  /** Of a file: SHA-256 of its content, hexadecimal. */
  sha256?: string;

  /** Of a link: where it points. */
  linkTarget?: string;
}

/** A page of the entries of one folder of a backup, in the order of their names. */
export class TreePage extends PageInfo implements Page<TreeEntry> {
  items!: TreeEntry[];

  /**
   * The folder; empty for the top.
   * @example 'data/uploads'
   */
  path!: string;
}

import type { SerializedError } from '@foodsave-backup/kernel';
import type { IntegrityLevel } from '../config.ts';
import type { BindingName } from './binding.ts';

/** How a private copy came to be; stands in the facts of a backup. */
export type CaptureMethod =
  /** Backup API inside a pinned read transaction (WAL mode). */
  | 'pinned'
  /** Backup API in bounded steps (rollback-journal mode). */
  | 'steps'
  /** Backup API in one step, after writers had restarted the bounded ones too often. */
  | 'full-pass'
  /** A copy of a file that provably nobody wrote meanwhile, with its journal or log where it had one. */
  | 'quiet-copy'
  /** The source is too damaged for SQLite: its bytes as they are. */
  | 'damaged-copy'
  /** Read where it lies: provably nobody wrote it from before the first page to after the last one, and no copy was made. */
  | 'in-place'
  /** The source is a file of zero bytes, which SQLite takes for a database without tables. */
  | 'empty';

export interface CaptureResult {
  method: CaptureMethod;
  journalMode: 'wal' | 'rollback';
  /** Longest time, in milliseconds, for which the capture kept writers from committing. */
  longestStallMs: number;
  /** How often a writer made the copy start again. */
  restarts: number;
  binding: BindingName;
}

/** Computed on a private copy. JSON values only. */
export interface DatabaseFacts {
  /** Sorted by name. `rows` is null where this SQLite cannot count (a virtual table of an unknown module). */
  tables: { name: string; rows: number | null; virtual?: true }[];
  /** SHA-256, hexadecimal, over the sorted schema; null when it cannot be read. */
  schemaHash: string | null;
  userVersion: number | null;
  applicationId: number | null;
  pageSize: number | null;
  pageCount: number | null;
  encoding: string | null;
  autoVacuum: 'none' | 'full' | 'incremental' | null;
  /** `ok`, or the first ten messages of SQLite. */
  integrityCheck: 'ok' | string[];
  integrityLevel: IntegrityLevel;
  /** Violations of foreign keys; null when they cannot be checked. */
  foreignKeyCheck: number | null;
  /** Newest row of a known migrations table. */
  newestMigration: string | null;
  sqliteVersion: string;
  corrupt: boolean;
}

export interface Prints {
  /** Absent where nothing is. */
  database?: string;
  /** What stands in `-wal` and `-journal`; absent where they are missing or empty. */
  log?: string;
}

/** How a checked file is going to take the place of the live database. */
export interface PreparedReplace {
  method: 'rename' | 'overwrite';
  /** The live database (and its log, when it is overwritten) as the exclusive lock found it; absent where nothing was. */
  was?: string;
  /** The staged file, which keeps this when it is renamed. */
  is: string;
  /** Of the old content that is overwritten; the new has one more. */
  schemaVersion?: number;
}

/** What the child can do. All paths are absolute. One call runs at a time, but for those that are served beside `facts`. */
export interface ChildOperations {
  probe: {
    request: { path: string; busyTimeoutMs: number };
    response: { bytes: number; tables: number | null; journalMode: 'wal' | 'rollback' | 'empty' };
  };
  /** Copies the database at `path` consistently to `snapshot`, a new file (0600) in a private directory. */
  capture: { request: { path: string; snapshot: string; busyTimeoutMs: number }; response: CaptureResult };
  /** Opens a database that nobody writes, to be read where it lies; `exchange` is a new file in a private directory. */
  openStill: {
    request: { path: string; exchange: string; busyTimeoutMs: number };
    /** `bytes`: whole pages. `source`: `path` without symbolic links. Without `still` it has to be captured. */
    response: {
      still?: {
        pageSize: number;
        bytes: number;
        source: string;
        journalMode: 'wal' | 'rollback';
        binding: BindingName;
      };
    };
  };
  /** The same of a private copy. */
  serveCopy: { request: { path: string; exchange: string }; response: Record<string, never> };
  /** Of that database, bytes from `offset` on to `at` of the exchange file; fewer than `length` where it ends. */
  pages: { request: { offset: number; length: number; at: number }; response: { bytes: number } };
  /** Hashes of its pages, one after the other from the first to the last: see `PagedContent.hashed`. */
  hashPages: {
    request: { offset: number; length: number; pageSize: number; key: Uint8Array };
    response: { hashes: Uint8Array };
  };
  /** SHA-256, hexadecimal, of all that was hashed. */
  digest: { request: Record<string, never>; response: { sha256: string } };
  /** Whether it was not written meanwhile; ends it. */
  isStill: { request: Record<string, never>; response: { still: boolean } };
  /** SHA-256, hexadecimal, of a database that nobody writes; nothing of another one. */
  hashStill: { request: { path: string; busyTimeoutMs: number }; response: { sha256?: string } };
  /**
   * Looks at a private copy, which stays as it is; or, without any lock, at a database that nobody writes. `toCompare`: without
   * what `checkRestored` does not compare, foreign keys and migrations.
   */
  facts: {
    request: { path: string; integrity: IntegrityLevel; inPlace?: boolean; toCompare?: boolean };
    response: DatabaseFacts;
  };
  /**
   * Takes the locks and does all that is long so that `staged`, a checked file in the same directory, can take the place of the
   * database `live`, which `aside` will keep where it is renamed. The locks end with this process. Live data is not touched.
   */
  prepareReplace: {
    request: { live: string; staged: string; aside: string; busyTimeoutMs: number };
    response: PreparedReplace;
  };
  /** What was prepared last. Throws with the live database as it was. Gives what a person must know afterwards. */
  replace: { request: Record<string, never>; response: { notes: string[] } };
  /** After a rename: whether somebody still has the replaced file open. */
  lookBack: { request: Record<string, never>; response: { notes: string[] } };
  /** Moves a database that the restore had added out of the way, unless somebody has it open: RESTORE_FAILED. */
  retract: { request: { live: string; staged: string }; response: Record<string, never> };
  /** Inode, size and time of a database and its log, without opening them. */
  print: { request: { path: string }; response: Prints };
  /** Whether a live database holds what `staged` holds, page by page; `snapshot` is a new file in a private directory. */
  compare: {
    request: { live: string; staged: string; snapshot: string; busyTimeoutMs: number };
    response: { same: boolean; schemaVersion: number };
  };
  /** SHA-256, hexadecimal, of a file that others may have open. */
  hash: { request: { path: string }; response: { sha256: string; bytes: number } };
}

export type OperationName = keyof ChildOperations;

export interface ChildRequest<K extends OperationName = OperationName> {
  id: number;
  operation: K;
  request: ChildOperations[K]['request'];
}

export type ChildMessage =
  /** The state that the copy will hold was fixed just now; a later one replaces it. */
  | { type: 'pinned' }
  | { type: 'done'; id: number; response: unknown }
  | { type: 'failed'; id: number; error: SerializedError };

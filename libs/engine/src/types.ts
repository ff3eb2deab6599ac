import type { Clock, RunCommand, RunProgress, RunStatus, SerializedError, RunEventBody } from '@foodsave-backup/kernel';
import type { ComponentDriver } from '@foodsave-backup/component';
import type { CheckReport, RepairReport, Repository } from '@foodsave-backup/repository';
import type { StorageBackend } from '@foodsave-backup/storage';
import type { RetentionPolicy } from '@foodsave-backup/retention';

export type Trigger = 'manual' | 'schedule' | 'safety' | 'first-start' | 'deploy' | 'import';

/** Said wherever a result rests on less than it could. */
export const CHECKSUMS_OFF = 'BACKUP_CHECKSUM_VERIFICATION is off: only presence and sizes were checked.';

/** What a door asks for. Each becomes a run. */
export type Command =
  | { command: 'init'; encryption?: boolean }
  | {
      command: 'create';
      name?: string;
      /** Instances (`database:main`) or types (`database`, all of the kind); absent for all. */
      components?: readonly string[];
      tags?: readonly string[];
      /** Absent: as configured. */
      verify?: boolean;
      trigger: Trigger;
      /** Overrides the configuration for a repository that does not exist yet. */
      encryption?: boolean;
    }
  | {
      command: 'restore';
      name: string;
      components?: readonly string[];
      /** Layout paths; only what lies at or below them. */
      paths?: readonly string[];
      /** Absolute directory; absent for a restore into the live application. */
      target?: string;
      dryRun?: boolean;
      /** Live only: go on although the safety backup failed. Such a restore cannot be undone. */
      withoutSafety?: boolean;
    }
  | { command: 'verify'; name: string; level: 'quick' | 'full' }
  | { command: 'check'; readData: boolean; subset?: { n: number; t: number } }
  | { command: 'repair'; what: 'index' | 'packs'; dryRun?: boolean }
  | { command: 'cleanup'; dryRun?: boolean }
  | {
      command: 'delete';
      name: string;
      /** More backups. One that is not there or is held fails the command before anything is deleted. */
      also?: readonly string[];
    }
  | { command: 'undo'; dryRun?: boolean }
  | {
      command: 'export';
      name: string;
      components?: readonly string[];
      /** Layout paths; only what lies at or below them. */
      paths?: readonly string[];
      /** `file`: the bytes of the one file that `paths` names, as they are. */
      format: ExportFormat;
      output: ExportOutput;
    }
  | {
      command: 'import';
      /** Absolute path of an archive that was exported. */
      file: string;
      /** Absent: as the archive says. */
      name?: string;
      /** Check everything, import nothing. */
      dryRun?: boolean;
    };

export type ExportFormat = 'zip' | 'tar.gz' | 'file';
/** A new file (absolute path), which appears when it is whole; or a descriptor of this process, which is closed at the end. */
export type ExportOutput = { file: string } | { descriptor: number };

export type Restore = Extract<Command, { command: 'restore' }>;

export interface ComponentSpec {
  /** `database:main` */
  instance: string;
  type: string;
  driver: string;
  config: unknown;
}

export interface EngineConfig {
  application: string;
  /** Version of this software, for manifests. */
  software: string;
  /** Absolute directory of the configuration file. */
  baseDir: string;
  /** Absolute; 0700. */
  stateDir: string;
  components: readonly ComponentSpec[];
  retention: RetentionPolicy;
  timeZone: string;
  verifyAfterCreate: boolean;
  /** Off: verifications look at sizes and presence only, and say so. */
  checksums: boolean;
  /** zstd, 1 to 19; undefined: by how much waits. */
  compressionLevel?: number | undefined;
  /** How many threads compress and hash beside the main one, 1 to 64. */
  threads: number;
  /** Bytes a second of each run; absent: as fast as it can. */
  limits: {
    /** Of the application, read while it is captured. */
    readonly read?: number;
    /** Put into the repository. */
    readonly upload?: number;
  };
  /** For a repository that does not exist yet. */
  encryption: boolean;
}

/** Where the secret of the repository comes from. */
export interface KeyProvider {
  /** The secret, and whether someone named it (environment) or it lies in the generated key file; `undefined` when there is none. */
  load(): Promise<{ secret: string; named: boolean } | undefined>;
  /** Makes a key file (0600, never replacing one) and tells where it is. */
  create(): Promise<{ secret: string; location: string }>;
  /** Replaces the generated key file; absent where the environment names the secret, which is not ours to change. */
  rotation?: KeyRotation;
}

/** A generated key file on its way to another secret. Each step is durable when it resolves, and may be repeated. */
export interface KeyRotation {
  /** Where the key file is. */
  readonly location: string;
  /** A new secret, kept beside the key file: the one that waits there since a rotation was interrupted, or a generated one. */
  next(): Promise<string>;
  /** Keeps the key file beside itself, and puts the new one in its place, atomically. */
  activate(): Promise<void>;
  /** The secret that was kept beside; `undefined` when there is none. */
  retired(): Promise<string | undefined>;
  /** Removes the secret that was kept. */
  finish(): Promise<void>;
}

export interface EngineDeps {
  config: EngineConfig;
  storage: StorageBackend;
  /** Absolute, of a repository in a local directory. */
  directory?: string;
  clock: Clock;
  keys: KeyProvider;
  drivers: readonly ComponentDriver[];
  env: Readonly<Record<string, string | undefined>>;
  /** `RECOVERY.md`, `recover.mjs`: put into the repository. */
  recoveryFiles: () => Promise<Readonly<Record<string, Uint8Array>>>;
  /** Bytes free for the repository; `undefined` where the medium cannot tell. */
  freeBytes: () => Promise<number | undefined>;
  /** The repository that was opened last: deriving its key is slow on purpose, too slow for each question. */
  opened?: { current?: { id: string; secret: string | undefined; repository: Repository } };
}

/** What a command sees of its run. */
export interface RunContext {
  readonly runId: string;
  readonly signal: AbortSignal;
  emit(event: RunEventBody): void;
  /** At most four a second pass; the last of a phase always does. */
  progress(progress: RunProgress): void;
}

export interface RunOutcome {
  status: Extract<RunStatus, 'succeeded' | 'partial' | 'failed'>;
  result: unknown;
  /** With `failed`: a result that is a failure (damage found), as opposed to a thrown error. */
  error?: SerializedError;
}

export interface VerificationView {
  level: 'none' | 'new' | 'quick' | 'full';
  status: 'ok' | 'damaged' | 'none';
  at?: string;
}

export interface BackupComponentView {
  type: string;
  status: 'complete' | 'failed';
  files: number;
  sizeBytes: number;
  storedBytes: number;
  capturedAt?: string;
  facts: Record<string, unknown>;
  error?: { code: string; message: string; hint?: string };
}

export interface BackupView {
  name: string;
  id: string;
  status: 'complete' | 'partial' | 'damaged';
  createdAt: string;
  finishedAt: string;
  durationMs: number;
  trigger: string;
  tags: string[];
  sizeBytes: number;
  storedBytes: number;
  components: Record<string, BackupComponentView>;
  verification: VerificationView;
  hold: boolean;
  /** Why it is held, if someone said so. */
  holdReason?: string;
  tiers: string[];
  error?: { code: string; message: string; hint?: string };
}

export interface CreateResult {
  backup: BackupView;
  /** What a person should know: a repository was made, packs were missing, files could not be read. */
  notes: string[];
}

export interface RestoredComponent {
  files: number;
  bytes: number;
  notes: string[];
}

export interface RestoreResult {
  name: string;
  target?: string;
  dryRun: boolean;
  components: Record<string, RestoredComponent>;
  /** Live only. */
  plan?: Record<string, PlanView>;
  /** Entries that could not be restored. */
  failed: { component: string; path: string; code: string; message: string }[];
  /** Name of the safety backup, which `undo` restores. */
  undo?: string;
}

export interface PlanView {
  added: string[];
  replaced: string[];
  deleted: string[];
  counts: { added: number; replaced: number; deleted: number; unchanged: number };
  bytes: number;
}

export interface VerifyResult {
  name: string;
  level: 'quick' | 'full';
  status: 'ok' | 'damaged';
  checkedBytes: number;
  checkedFiles: number;
  damaged: { component: string; path: string; reason: string }[];
  notes: string[];
}

/** What a repair did, or would do. */
export type RepairResult = RepairReport;

/** The check of the repository, and what it did not look at. */
export type CheckView = CheckReport;

export interface CleanupResult {
  deleted: { name: string; reason: string }[];
  kept: { name: string; reasons: string[] }[];
  /** Bytes of packs fewer than before. */
  freedBytes: number;
  /** Bytes of new packs, into which what is needed of deleted ones was copied. */
  rewrittenBytes: number;
  packs: number;
  dryRun: boolean;
  /** Why nothing was deleted although something could have been. */
  blocked?: string;
}

export interface DeleteResult {
  name: string;
  /** The other backups that the same command deleted. */
  also?: string[];
  packs: number;
  freedBytes: number;
  rewrittenBytes: number;
  /** Why no space was freed. The backup is deleted all the same. */
  blocked?: string;
}

export interface ExportResult {
  name: string;
  format: ExportFormat;
  /** Absent when it went to a descriptor. */
  file?: string;
  files: number;
  /** Of the contents. */
  sizeBytes: number;
  /** Of the archive. */
  archiveBytes: number;
  /** What a person should know: that it is not encrypted, what it lacks. */
  notes: string[];
}

export interface ImportResult {
  /** The name that the backup has, or would have. */
  name: string;
  dryRun: boolean;
  /** What the archive says of itself. */
  archive: { name: string; createdAt: string; components: string[] };
  checkedFiles: number;
  checkedBytes: number;
  /** Not with `dryRun`. */
  backup?: BackupView;
  notes: string[];
}

export interface StatsView {
  backups: number;
  complete: number;
  partial: number;
  damaged: number;
  /** Bytes that all backups would restore. */
  logicalBytes: number;
  /** Bytes of all packs. */
  storedBytes: number;
  dedupRatio: number;
  packs: number;
  oldest?: string;
  newest?: string;
  /** Stored bytes added per backup, oldest first. */
  growth: { name: string; at: string; storedBytes: number; sizeBytes: number }[];
  byComponent: Record<string, { backups: number; sizeBytes: number; storedBytes: number }>;
  byFolder: Record<string, { packs: number; bytes: number }>;
}

export interface TreeListing {
  name: string;
  component?: string;
  path: string;
  entries: TreeListingEntry[];
}

export interface TreeListingEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'fifo';
  sizeBytes: number;
  files?: number;
  mode?: number;
  modifiedAt?: string;
  sha256?: string;
  linkTarget?: string;
}

export interface ListQuery {
  limit?: number;
  /** From `nextCursor` of the page before. */
  cursor?: string;
  status?: string;
  /** Instance or type. */
  component?: string;
  /** Part of a name or a tag, without regard to case. */
  q?: string;
}

export interface BackupPage {
  items: BackupView[];
  total: number;
  nextCursor?: string;
}

export interface HealthIndicator {
  status: 'up' | 'down';
  /** One sentence. */
  message: string;
  [fact: string]: unknown;
}

export interface HealthView {
  status: 'ok' | 'error';
  indicators: Record<string, HealthIndicator>;
}

export interface RunView {
  id: string;
  command: RunCommand;
  status: RunStatus;
  startedAt: string;
  finishedAt?: string;
  progress?: RunProgress;
  result?: unknown;
  error?: SerializedError;
}

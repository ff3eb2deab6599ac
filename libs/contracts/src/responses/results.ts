import { Backup } from './backup.ts';

/** Counts of a restore into the live application. */
export class RestoreCounts {
  added!: number;
  replaced!: number;
  deleted!: number;
  unchanged!: number;
}

/** What a restore of one component into the live application changes. */
export class RestorePlan {
  /** At most 1,000 paths of each list; the counts are exact. */
  added!: string[];
  replaced!: string[];
  deleted!: string[];
  counts!: RestoreCounts;
  /** Bytes that are written. */
  bytes!: number;
}

export class RestoredComponent {
  /** @example 1 */
  files!: number;
  /** @example 2461696 */
  bytes!: number;
  /** What a person must know afterwards. */
  notes!: string[];
}

/** An entry that could not be restored. */
export class FailedEntry {
  component!: string;
  path!: string;
  /** @example 'DATA_DAMAGED' */
  code!: string;
  message!: string;
}

/** What was restored, or with `dryRun` would be. */
export class RestoreResult {
  /** @example 'full_backup_20261123_020000' */
  name!: string;
  /** Absolute directory; absent for a restore into the live application. */
  target?: string;
  dryRun!: boolean;
  /** By instance; empty for a dry run into the live application, which has a `plan`. */
  components!: Record<string, RestoredComponent>;
  /** Live only, by instance. */
  plan?: Record<string, RestorePlan>;
  failed!: FailedEntry[];
  /** Name of the safety backup, which `undo` restores. */
  undo?: string;
}

/** What an archive says of itself. */
export class ArchiveSummary {
  /** @example 'pre_deployment_backup' */
  name!: string;
  /** ISO 8601 UTC: when the backup was made. */
  createdAt!: string;
  /** @example ['database:main', 'files:main'] */
  components!: string[];
}

/** What became of an archive, or with `dryRun` would. */
export class ImportResult {
  /**
   * Name that the backup has, or would have.
   * @example 'pre_deployment_backup'
   */
  name!: string;
  dryRun!: boolean;
  archive!: ArchiveSummary;
  checkedFiles!: number;
  /** Bytes that were read and compared. */
  checkedBytes!: number;
  /** Not with `dryRun`. */
  backup?: Backup;
  /** What a person should know. */
  notes!: string[];
}

export class DamagedEntry {
  /** @example 'files:main' */
  component!: string;
  /** @example 'data/uploads/a.jpg' */
  path!: string;
  reason!: string;
}

export class VerifyResult {
  /** @example 'full_backup_20261123_020000' */
  name!: string;
  level!: 'quick' | 'full';
  /** @example 'ok' */
  status!: 'ok' | 'damaged';
  /** Bytes that were read and compared; 0 for `quick`. */
  checkedBytes!: number;
  checkedFiles!: number;
  damaged!: DamagedEntry[];
  /** What was not looked at, and why. */
  notes!: string[];
}

export class RepositoryDamage {
  kind!: 'pack' | 'index' | 'manifest' | 'repository' | 'key' | 'note';
  /** Object key, or the name of the backup. */
  what!: string;
  reason!: string;
  /**
   * What mends it.
   * @example 'Run "repair index".'
   */
  remedy!: string;
  backup?: string;
}

export class AffectedFile {
  /** @example 'files:main' */
  component!: string;
  /** @example 'data/uploads/a.jpg' */
  path!: string;
  reason!: string;
  /** Newest first, at most 100. */
  backups!: string[];
  backupCount!: number;
}

export class AffectedBackups {
  /** Backups that cannot be restored whole, newest first. */
  backups!: string[];
  /** Different files, each counted once. */
  fileCount!: number;
  /** At most 1,000. */
  files!: AffectedFile[];
}

export class CheckResult {
  status!: 'ok' | 'damaged';
  backups!: number;
  packs!: number;
  blobs!: number;
  /** Bytes that were read and compared; 0 without `read_data`. */
  checkedBytes!: number;
  damaged!: RepositoryDamage[];
  /** What the damage costs. */
  affected!: AffectedBackups;
  /** Left by interrupted runs; cleanup removes them. */
  unreferencedPacks!: number;
  unreferencedBytes!: number;
  /** Backups that were never acknowledged. */
  unconfirmed!: string[];
  /** What was not looked at, and why. */
  notes!: string[];
}

export class GrowthPoint {
  name!: string;
  /** @example '2026-11-23T02:00:00.000Z' */
  at!: string;
  storedBytes!: number;
  sizeBytes!: number;
}

export class ComponentStats {
  backups!: number;
  sizeBytes!: number;
  storedBytes!: number;
}

export class FolderStats {
  packs!: number;
  bytes!: number;
}

export class Stats {
  /** @example 12 */
  backups!: number;
  complete!: number;
  partial!: number;
  damaged!: number;
  /** Bytes that all backups would restore. */
  logicalBytes!: number;
  /** Bytes of all packs. */
  storedBytes!: number;
  /** Logical by stored bytes; 0 while nothing is stored. */
  dedupRatio!: number;
  packs!: number;
  oldest?: string;
  newest?: string;
  /** One point a backup, oldest first. */
  growth!: GrowthPoint[];
  /** By instance. */
  byComponent!: Record<string, ComponentStats>;
  /** By folder of the repository. */
  byFolder!: Record<string, FolderStats>;
}

export class KeptBackup {
  name!: string;
  /** @example ['newest of day 2026-11-23'] */
  reasons!: string[];
}

export class DeletedBackup {
  name!: string;
  reason!: string;
}

export class CleanupResult {
  dryRun!: boolean;
  deleted!: DeletedBackup[];
  kept!: KeptBackup[];
  /** Bytes of packs fewer than before. */
  freedBytes!: number;
  /** Bytes of new packs, into which what is needed of removed ones was copied. */
  rewrittenBytes!: number;
  /** Packs removed. */
  packs!: number;
  /** Why nothing was deleted although something could have been. */
  blocked?: string;
}

export class DeleteResult {
  name!: string;
  packs!: number;
  /** Bytes of packs fewer than before. */
  freedBytes!: number;
  /** Bytes of new packs, into which what is needed of removed ones was copied. */
  rewrittenBytes!: number;
  /** Why no space was freed. The backup is deleted all the same. */
  blocked?: string;
}

export class HealthIndicator {
  status!: 'up' | 'down';
  message?: string;
}

/** The shape of @nestjs/terminus. */
export class Health {
  status!: 'ok' | 'error' | 'shutting_down';
  info!: Record<string, HealthIndicator>;
  error!: Record<string, HealthIndicator>;
  details!: Record<string, HealthIndicator>;
}

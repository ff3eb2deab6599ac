import { ErrorInfo } from './backup.ts';

/** What a restore wrote for one component. */
export class RestoredComponent {
  /** @example 'complete' */
  status!: 'complete' | 'failed';

  /** Files written. */
  files!: number;

  /** Bytes written. */
  bytes!: number;

  /** What a person must know afterwards. */
  notes!: string[];

  /** Why it failed. */
  error?: ErrorInfo;
}

/** `POST /restore/{name}`, `POST /undo`: what was restored. */
export class RestoreResult {
  /** Name of the backup. */
  name!: string;

  /** Directory that was restored into; `null` when the live data was replaced. */
  target!: string | null;

  /** By instance (`database:main`). */
  components!: Record<string, RestoredComponent>;

  /** Files written in all. */
  files!: number;

  /** Bytes written in all. */
  bytes!: number;

  /** Milliseconds. */
  durationMs!: number;

  /** Name of the safety backup that `POST /undo` goes back to; `null` when no live data was touched. */
  undo!: string | null;
}

/** What a restore would do to one component. Lists of paths have at most 1,000 entries; the counts are exact. */
export class RestorePreviewComponent {
  /** Paths in the backup that would appear. */
  added!: string[];

  /** Paths that would be overwritten. */
  replaced!: string[];

  /** Paths that would be removed. */
  deleted!: string[];

  counts!: RestoreCounts;

  /** Bytes that would be written. */
  bytes!: number;
}

/** How many entries a restore would touch. */
export class RestoreCounts {
  added!: number;
  replaced!: number;
  deleted!: number;
  unchanged!: number;
}

/** `POST /restore/{name}?dry_run=true`: what would be restored. Nothing was changed. */
export class RestorePreview {
  /** Name of the backup. */
  name!: string;

  dryRun!: true;

  /** Directory that would be restored into; `null`: the live data would be replaced. */
  target!: string | null;

  /** By instance (`database:main`). */
  components!: Record<string, RestorePreviewComponent>;

  /** Bytes that would be written in all. */
  bytes!: number;
}

/** One thing that is wrong with a backup. */
export class Damage {
  /** Component instance, where it concerns one. */
  component?: string;

  /** Path in the backup, where it concerns one file. */
  path?: string;

  /** What is wrong. */
  message!: string;
}

/** `POST /verify/{name}`. */
export class VerifyResult {
  /** Name of the backup. */
  name!: string;

  /** @example 'full' */
  level!: 'quick' | 'full';

  /** @example 'ok' */
  status!: 'ok' | 'damaged';

  /** Bytes that were read and compared; 0 when only presence and sizes were looked at. */
  checkedBytes!: number;

  /** `false`: checksums are switched off, so that even `full` looked at sizes and presence only. */
  checksums!: boolean;

  damaged!: Damage[];
}

/** Figures of one component over all backups. */
export class ComponentStats {
  /** Backups that contain it. */
  backups!: number;

  /** Bytes of the contents in all of these backups. */
  logicalBytes!: number;

  /** Bytes that they added to the repository. */
  storedBytes!: number;
}

/** How the repository grew on one day. */
export class GrowthPoint {
  /**
   * Day, UTC.
   * @example '2026-11-23'
   */
  date!: string;

  /** Backups made on that day. */
  backups!: number;

  /** Bytes added on that day. */
  storedBytes!: number;
}

/** How many backups there are. */
export class BackupCounts {
  total!: number;
  complete!: number;
  partial!: number;
  damaged!: number;
  held!: number;
}

/** `GET /stats`. */
export class Stats {
  backups!: BackupCounts;

  /** Bytes that restoring every backup would write. */
  logicalBytes!: number;

  /** Bytes that the repository takes. */
  storedBytes!: number;

  /**
   * `logicalBytes` through `storedBytes`; `null` in an empty repository.
   * @example 11.4
   */
  dedupRatio!: number | null;

  /** Oldest first. */
  growth!: GrowthPoint[];

  /** By instance (`database:main`). */
  components!: Record<string, ComponentStats>;

  /** ISO 8601 UTC; `null` without a backup. */
  newestAt!: string | null;

  /** ISO 8601 UTC; `null` without a backup. */
  oldestAt!: string | null;
}

/** Why one backup stays. */
export class KeptBackup {
  name!: string;

  /** @example ['daily 2026-11-23', 'newest complete'] */
  reasons!: string[];
}

/** Why one backup goes. */
export class DeletedBackup {
  name!: string;

  /** @example ['beyond 7 daily, 4 weekly and 12 monthly backups'] */
  reasons!: string[];
}

/** `DELETE /cleanup`. */
export class CleanupResult {
  /** `true`: nothing was deleted, this is what would be. */
  dryRun!: boolean;

  deleted!: DeletedBackup[];

  kept!: KeptBackup[];

  /** Bytes freed (with `dryRun`: an estimate). */
  freedBytes!: number;
}

/** State of one part of the system. */
export class HealthIndicator {
  status!: 'up' | 'down';

  /** Why it is down, or a figure worth knowing. */
  message?: string;
}

/** `GET /health`, in the shape of Terminus: 200 or 503. */
export class Health {
  status!: 'ok' | 'error' | 'shutting_down';

  /** What is up, by indicator. */
  info!: Record<string, HealthIndicator>;

  /** What is down, by indicator. */
  error!: Record<string, HealthIndicator>;

  /** Both. */
  details!: Record<string, HealthIndicator>;
}

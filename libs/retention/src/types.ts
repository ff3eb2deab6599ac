/** What retention needs to know of a backup. */
export interface RetentionBackup {
  /** Unique. */
  name: string;
  /** ISO 8601. */
  createdAt: string;
  status: 'complete' | 'partial' | 'damaged';
  /** What started it: `manual`, `schedule`, … Only `safety` matters here. */
  trigger: string;
  hold: boolean;
  /** When its every byte was last verified; absent: never. */
  fullyVerifiedAt?: string;
  /** When a drill last restored it; absent: never. */
  drillProvenAt?: string;
  /** When the damage was found, if that is known: a damaged backup expires seven days after it, not after its creation. */
  damagedSince?: string;
}

/** How many days, ISO weeks and months that have a backup keep their newest one. Zero turns a tier off. */
export interface RetentionPolicy {
  daily: number;
  weekly: number;
  monthly: number;
}

export type RetentionTier = keyof RetentionPolicy;

export interface RetentionInput {
  /** In any order. */
  backups: readonly RetentionBackup[];
  policy: RetentionPolicy;
  /** IANA name of the zone whose calendar counts. */
  timeZone: string;
  /** ms since the epoch. */
  now: number;
  /** Manifests that exist but cannot be read. Any at all blocks every deletion. */
  unreadableManifests: number;
}

export type KeepCode =
  | RetentionTier
  | 'hold'
  | 'newest-complete'
  | 'newest-verified'
  | 'newest-drill-proven'
  | 'only-copy'
  | 'future'
  | 'date-unreadable'
  | 'not-expired'
  | 'unreadable-manifest';

export interface KeepReason {
  code: KeepCode;
  /** For people, in English: `newest of day 2026-11-23`. */
  text: string;
}

export interface KeptBackup {
  name: string;
  /** At least one. */
  reasons: KeepReason[];
  tiers: RetentionTier[];
}

export interface DeletedBackup {
  name: string;
  code: 'superseded' | 'expired';
  /** For people, in English. */
  reason: string;
}

/** Every backup of the input exactly once, newest first. */
export interface RetentionPlan {
  kept: KeptBackup[];
  deleted: DeletedBackup[];
  /** Why nothing may be deleted now; absent when something may. */
  blocked?: string;
}

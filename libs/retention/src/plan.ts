import { BackupError } from '@foodsave-backup/kernel';
import type { Periods } from './calendar.ts';
import { createCalendar } from './calendar.ts';
import type {
  DeletedBackup,
  KeepReason,
  RetentionBackup,
  RetentionInput,
  RetentionPlan,
  RetentionPolicy,
  RetentionTier,
} from './types.ts';

export const DEFAULT_RETENTION: Readonly<RetentionPolicy> = { daily: 7, weekly: 4, monthly: 12 };

/** How long safety, partial and damaged backups stay, in ms: 168 hours, whatever the calendar does. */
export const OUTSIDE_TIERS_MS = 7 * 24 * 60 * 60 * 1000;

const TIERS: readonly { tier: RetentionTier; period: keyof Periods }[] = [
  { tier: 'daily', period: 'day' },
  { tier: 'weekly', period: 'week' },
  { tier: 'monthly', period: 'month' },
];

interface Candidate {
  readonly backup: RetentionBackup;
  /** ms since the epoch; NaN when it cannot be read. */
  readonly at: number;
  readonly reasons: KeepReason[];
  readonly tiers: RetentionTier[];
}

/** Throws RETENTION_INVALID unless every tier is a non-negative integer and at least one is not zero. */
export function assertRetentionPolicy(policy: RetentionPolicy): void {
  for (const { tier } of TIERS) {
    const count = policy[tier];
    if (Number.isSafeInteger(count) && count >= 0) continue;
    throw new BackupError(
      'RETENTION_INVALID',
      `Retention "${tier}" is ${String(count)}, not a whole number from 0 up`,
      {
        hint: `Set it to the number of ${periodOf(tier)}s to keep, for example ${DEFAULT_RETENTION[tier]}, or to 0 to turn it off.`,
      },
    );
  }
  if (TIERS.every(({ tier }) => policy[tier] === 0)) {
    throw new BackupError(
      'RETENTION_INVALID',
      'Retention is zero in every tier, which would delete nearly all backups',
      {
        hint: 'Keep at least one day, week or month, for example daily: 7.',
      },
    );
  }
}

/**
 * Grandfather-father-son: what to keep and what to delete at the instant `now`, each with its reasons. A pure function.
 *
 * The newest complete backup of each of the latest `daily` days, `weekly` weeks and `monthly` months that have one is
 * kept. Backups dated after `now` are kept and take nobody's place: neither a period's nor that of the newest.
 * Throws RETENTION_INVALID, or CONFIG_INVALID for the time zone.
 */
export function planRetention(input: RetentionInput): RetentionPlan {
  assertRetentionPolicy(input.policy);
  const periodsOf = createCalendar(input.timeZone);
  const candidates = input.backups.map((backup): Candidate => ({
    backup,
    at: Date.parse(backup.createdAt),
    reasons: [],
    tiers: [],
  }));
  candidates.sort(newestFirst);

  const past = candidates.filter(({ at }) => at <= input.now);
  keepUndated(candidates, input.now);
  keepTiers(past.filter(isRegular), input.policy, periodsOf);
  keepNewest(past);
  for (const candidate of candidates) {
    if (candidate.backup.hold) candidate.reasons.push({ code: 'hold', text: 'held' });
  }
  for (const candidate of past) keepUnexpired(candidate, input.now);
  return decide(candidates, input);
}

/** Complete, and not made only so that a restore can be undone. */
function isRegular({ backup }: Candidate): boolean {
  return backup.status === 'complete' && backup.trigger !== 'safety';
}

/** Newest first; by name where two are of one instant, so that the order of the input never matters. */
function newestFirst(a: Candidate, b: Candidate): number {
  const byTime = (Number.isNaN(b.at) ? -Infinity : b.at) - (Number.isNaN(a.at) ? -Infinity : a.at);
  if (byTime > 0 || byTime < 0) return byTime;
  return a.backup.name < b.backup.name ? 1 : a.backup.name > b.backup.name ? -1 : 0;
}

function keepUndated(candidates: readonly Candidate[], now: number): void {
  for (const { at, backup, reasons } of candidates) {
    if (Number.isNaN(at)) reasons.push({ code: 'date-unreadable', text: 'its date cannot be read' });
    else if (at > now) reasons.push({ code: 'future', text: `dated in the future (${backup.createdAt})` });
  }
}

/** `regular`: newest first, none of the future. */
function keepTiers(regular: readonly Candidate[], policy: RetentionPolicy, periodsOf: (ms: number) => Periods): void {
  const dated = regular.map((candidate) => ({ candidate, periods: periodsOf(candidate.at) }));
  for (const { tier, period } of TIERS) {
    const seen = new Set<string>();
    for (const { candidate, periods } of dated) {
      if (seen.size >= policy[tier]) break;
      const label = periods[period];
      if (seen.has(label)) continue;
      seen.add(label);
      candidate.tiers.push(tier);
      candidate.reasons.push({ code: tier, text: `newest of ${period} ${label}` });
    }
  }
}

/**
 * The backups that a restore would be made from. A safety backup may be the newest complete one, but it soon expires and
 * must not displace the regular one; a partial one counts only while there is no complete one.
 */
function keepNewest(past: readonly Candidate[]): void {
  const complete = past.filter(({ backup }) => backup.status === 'complete');
  const regular = past.filter(isRegular);
  const protect = (code: KeepReason['code'], text: string, has: (backup: RetentionBackup) => boolean): void => {
    const newest = [complete, regular].map((list) => list.find(({ backup }) => has(backup)));
    if (newest[0] === undefined && code !== 'newest-complete') {
      newest.push(past.find(({ backup }) => backup.status === 'partial' && has(backup)));
    }
    for (const candidate of new Set(newest)) candidate?.reasons.push({ code, text });
  };
  protect('newest-complete', 'newest complete', () => true);
  protect('newest-verified', 'newest fully verified', (backup) => backup.fullyVerifiedAt !== undefined);
  protect('newest-drill-proven', 'newest proven by a drill', (backup) => backup.drillProvenAt !== undefined);
  if (complete.length > 0) return;
  const last = past.find(({ backup }) => backup.status === 'partial') ?? past[0];
  last?.reasons.push({ code: 'only-copy', text: 'there is no complete backup, and this is the newest of the others' });
}

/** What kind of backup outside the tiers it is; `undefined` for those inside. */
function outsideTiers({ backup }: Candidate): 'safety' | 'partial' | 'damaged' | undefined {
  if (backup.status !== 'complete') return backup.status;
  return backup.trigger === 'safety' ? 'safety' : undefined;
}

function expiryOf(candidate: Candidate): number {
  const { status, damagedSince } = candidate.backup;
  const found = status === 'damaged' && damagedSince !== undefined ? Date.parse(damagedSince) : NaN;
  return (Number.isNaN(found) ? candidate.at : Math.max(candidate.at, found)) + OUTSIDE_TIERS_MS;
}

function keepUnexpired(candidate: Candidate, now: number): void {
  const kind = outsideTiers(candidate);
  if (kind === undefined || expiryOf(candidate) <= now) return;
  const until = new Date(expiryOf(candidate)).toISOString();
  candidate.reasons.push({ code: 'not-expired', text: `${kind}: kept for seven days, until ${until}` });
}

function decide(candidates: readonly Candidate[], { policy, unreadableManifests }: RetentionInput): RetentionPlan {
  const plan: RetentionPlan = { kept: [], deleted: [] };
  const blocked = unreadableManifests > 0;
  if (blocked) {
    const some = unreadableManifests === 1 ? '1 manifest cannot' : `${unreadableManifests} manifests cannot`;
    plan.blocked = `${some} be read, so nothing is deleted; run check`;
  }
  for (const candidate of candidates) {
    const { backup, reasons, tiers } = candidate;
    if (blocked)
      reasons.push({ code: 'unreadable-manifest', text: 'a manifest cannot be read, so nothing is deleted' });
    if (reasons.length > 0) plan.kept.push({ name: backup.name, reasons, tiers });
    else plan.deleted.push(deletion(candidate, policy));
  }
  return plan;
}

function deletion(candidate: Candidate, policy: RetentionPolicy): DeletedBackup {
  const { name } = candidate.backup;
  const kind = outsideTiers(candidate);
  if (kind !== undefined) {
    const from = kind === 'damaged' && candidate.backup.damagedSince !== undefined ? 'found damaged' : kind;
    return { name, code: 'expired', reason: `${from} more than seven days ago` };
  }
  const kept = TIERS.filter(({ tier }) => policy[tier] > 0).map(({ tier, period }) => {
    const count = policy[tier];
    return count === 1 ? `the latest ${period}` : `the latest ${count} ${period}s`;
  });
  return { name, code: 'superseded', reason: `not the newest of any of ${kept.join(', ')} that have a backup` };
}

function periodOf(tier: RetentionTier): string {
  return TIERS.find((t) => t.tier === tier)?.period ?? tier;
}

import type { Backup, Run } from '@foodsave-backup/contracts/types';

export type Verdict = 'backedUp' | 'atRisk' | 'notProtected' | 'unknown';

/** What decided; each has a sentence in the catalogues. */
export type Reason =
  | 'fine'
  | 'none'
  | 'noComplete'
  | 'partial'
  | 'damaged'
  | 'unverified'
  | 'quickOnly'
  | 'old'
  | 'failed'
  | 'otherDamaged'
  | 'stale'
  | 'noNews';

export interface Judgement {
  verdict: Verdict;
  reason: Reason;
  /** The backup that was judged. */
  newest?: Backup;
  /** When what the reason tells of happened, in milliseconds since 1970. */
  at?: number;
  /** Of damaged backups. */
  count?: number;
}

export interface Evidence {
  /** Newest first; `undefined` before the first answer. */
  backups: readonly Backup[] | undefined;
  /** Newest first. */
  runs: readonly Run[];
  /** When the server last answered, in milliseconds since 1970; 0 for never. */
  updatedAt: number;
  now: number;
}

/** Older answers say nothing of the present. */
const STALE_MS = 60_000;
/** Without a schedule to be measured against, a backup older than a week protects too little to be called protection. */
const OLD_MS = 7 * 24 * 60 * 60 * 1000;

/** The live verdict: the worst fact wins. */
export function judge({ backups, runs, updatedAt, now }: Evidence): Judgement {
  if (backups === undefined) return { verdict: 'unknown', reason: 'noNews' };
  if (now - updatedAt > STALE_MS) return { verdict: 'unknown', reason: 'stale', at: updatedAt };
  // A safety backup is a step of a restore: it expires by itself and is not what the operator relies on.
  const own = backups.filter((backup) => backup.trigger !== 'safety');
  const [newest] = own;
  if (newest === undefined) return { verdict: 'notProtected', reason: 'none' };
  const at = Date.parse(newest.createdAt);
  const verdictOn = (verdict: Verdict, reason: Reason): Judgement => ({ verdict, reason, newest, at });

  if (!own.some((backup) => backup.status === 'complete')) return verdictOn('notProtected', 'noComplete');
  if (newest.status === 'damaged' || newest.verification.status === 'damaged') return verdictOn('atRisk', 'damaged');
  if (newest.status === 'partial') return verdictOn('atRisk', 'partial');
  if (newest.verification.level === 'none') return verdictOn('atRisk', 'unverified');
  if (newest.verification.level === 'quick') return verdictOn('atRisk', 'quickOnly');
  const failedAt = lastFailure(runs);
  if (failedAt !== undefined && failedAt > at) return { verdict: 'atRisk', reason: 'failed', newest, at: failedAt };
  if (now - at > OLD_MS) return verdictOn('atRisk', 'old');
  const damaged = own.filter((backup) => backup.status === 'damaged').length;
  if (damaged > 0) return { ...verdictOn('atRisk', 'otherDamaged'), count: damaged };
  return verdictOn('backedUp', 'fine');
}

/** When the newest attempt to make a backup ended, if it failed. What a person stopped has not failed. */
function lastFailure(runs: readonly Run[]): number | undefined {
  const last = runs.find(
    (run) => run.command === 'create' && run.finishedAt !== undefined && run.status !== 'cancelled',
  );
  if (last?.status !== 'failed' && last?.status !== 'interrupted') return undefined;
  return Date.parse(last.finishedAt ?? last.startedAt);
}

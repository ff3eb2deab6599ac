import { describe, expect, it } from 'vitest';
import { DEFAULT_RETENTION, planRetention } from './index.ts';
import type { RetentionBackup, RetentionInput, RetentionPlan } from './index.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');

function backup(createdAt: string, more: Partial<RetentionBackup> = {}): RetentionBackup {
  return { name: createdAt, createdAt, status: 'complete', trigger: 'schedule', hold: false, ...more };
}

function plan(backups: RetentionBackup[], more: Partial<RetentionInput> = {}): RetentionPlan {
  return planRetention({
    backups,
    policy: DEFAULT_RETENTION,
    timeZone: 'UTC',
    now: NOW,
    unreadableManifests: 0,
    ...more,
  });
}

const keptNames = (p: RetentionPlan): string[] => p.kept.map((k) => k.name);
const deletedNames = (p: RetentionPlan): string[] => p.deleted.map((d) => d.name);
const codes = (p: RetentionPlan, name: string): string[] | undefined =>
  p.kept.find((k) => k.name === name)?.reasons.map((r) => r.code);

/** One backup a day at 02:00Z, the last one on the day of NOW. */
function daily(days: number): RetentionBackup[] {
  return Array.from({ length: days }, (_, n) => {
    const at = new Date(Date.parse('2026-11-23T02:00:00Z') - n * 86_400_000).toISOString();
    return backup(at, { name: at.slice(0, 10) });
  });
}

describe('tiers', () => {
  it('keeps 7 days, 4 weeks and 12 months of two years of daily backups, and says why', () => {
    const result = plan(daily(730));
    expect(keptNames(result)).toEqual([
      ...['2026-11-23', '2026-11-22', '2026-11-21', '2026-11-20', '2026-11-19', '2026-11-18', '2026-11-17'],
      ...['2026-11-15', '2026-11-08', '2026-10-31', '2026-09-30', '2026-08-31', '2026-07-31', '2026-06-30'],
      ...['2026-05-31', '2026-04-30', '2026-03-31', '2026-02-28', '2026-01-31', '2025-12-31'],
    ]);
    expect(result.kept[0]).toEqual({
      name: '2026-11-23',
      tiers: ['daily', 'weekly', 'monthly'],
      reasons: [
        { code: 'daily', text: 'newest of day 2026-11-23' },
        { code: 'weekly', text: 'newest of week 2026-W48' },
        { code: 'monthly', text: 'newest of month 2026-11' },
        { code: 'newest-complete', text: 'newest complete' },
      ],
    });
    expect(result.kept[1]?.tiers).toEqual(['daily', 'weekly']);
    expect(result.deleted[0]).toEqual({
      name: '2026-11-16',
      code: 'superseded',
      reason: 'not the newest of any of the latest 7 days, the latest 4 weeks, the latest 12 months that have a backup',
    });
    expect(result.blocked).toBeUndefined();
  });

  it('keeps the newest of a day, by the clock of the zone', () => {
    const backups = [backup('2026-11-22T22:30:00Z'), backup('2026-11-22T23:30:00Z'), backup('2026-11-23T01:00:00Z')];
    const policy = { daily: 7, weekly: 0, monthly: 0 };
    expect(deletedNames(plan(backups, { policy }))).toEqual(['2026-11-22T22:30:00Z']);
    expect(deletedNames(plan(backups, { policy, timeZone: 'Europe/Warsaw' }))).toEqual(['2026-11-22T23:30:00Z']);
    expect(deletedNames(plan(backups, { policy, timeZone: 'America/New_York' }))).toEqual([
      '2026-11-22T23:30:00Z',
      '2026-11-22T22:30:00Z',
    ]);
  });

  it('takes the repeated hour of the end of daylight saving for one day', () => {
    // 02:30 local happens twice, at 00:30Z and at 01:30Z.
    const backups = [backup('2026-10-25T00:30:00Z'), backup('2026-10-25T01:30:00Z'), backup('2026-10-25T22:30:00Z')];
    const policy = { daily: 3, weekly: 0, monthly: 0 };
    expect(keptNames(plan(backups, { policy, timeZone: 'Europe/Warsaw' }))).toEqual(['2026-10-25T22:30:00Z']);
  });

  it('counts only periods that have a backup, so that a pause of years evicts nothing', () => {
    const old = [1, 2, 3, 4, 5, 6, 7].map((month) => backup(`2020-0${month}-11T02:00:00Z`));
    const result = plan([...old, backup('2026-11-23T02:00:00Z')], { policy: { daily: 8, weekly: 0, monthly: 0 } });
    expect(result.deleted).toEqual([]);
  });

  it('turns a tier off with zero', () => {
    const result = plan(daily(40), { policy: { daily: 0, weekly: 0, monthly: 2 } });
    expect(keptNames(result)).toEqual(['2026-11-23', '2026-10-31']);
  });

  it.each([
    [0, 0, 0],
    [-1, 4, 12],
    [7, 1.5, 12],
    [7, 4, NaN],
    [7, Infinity, 0],
  ])('refuses the policy %d/%d/%d', (days, weekly, monthly) => {
    const policy = { daily: days, weekly, monthly };
    expect(() => plan([], { policy })).toThrow(expect.objectContaining({ code: 'RETENTION_INVALID' }));
  });

  it('has nothing to do without backups', () => {
    expect(plan([])).toEqual({ kept: [], deleted: [] });
  });
});

describe('outside the tiers', () => {
  const regular = backup('2026-11-23T10:00:00Z', { name: 'regular' });

  it.each([{ trigger: 'safety' }, { status: 'partial' as const }, { status: 'damaged' as const }])(
    'lets %j expire after 168 hours, to the millisecond',
    (kind) => {
      const other = backup('2026-11-16T12:00:00.001Z', { name: 'other', ...kind });
      expect(codes(plan([regular, other]), 'other')).toEqual(['not-expired']);
      expect(plan([regular, other], { now: NOW + 1 }).deleted).toMatchObject([{ name: 'other', code: 'expired' }]);
    },
  );

  it('lets none of them take the place of a regular backup', () => {
    const backups = [
      backup('2026-11-23T11:00:00Z', { name: 'partial', status: 'partial' }),
      backup('2026-11-23T11:10:00Z', { name: 'damaged', status: 'damaged' }),
      backup('2026-11-23T11:20:00Z', { name: 'safety', trigger: 'safety' }),
      regular,
    ];
    const result = plan(backups);
    expect(codes(result, 'regular')).toEqual(['daily', 'weekly', 'monthly', 'newest-complete']);
    for (const name of ['partial', 'damaged', 'safety']) {
      expect(result.kept.find((k) => k.name === name)?.tiers).toEqual([]);
    }
  });

  it('counts the seven days of an old backup from when its damage was found', () => {
    const damaged = backup('2025-01-01T00:00:00Z', {
      name: 'd',
      status: 'damaged',
      damagedSince: '2026-11-20T00:00:00Z',
    });
    expect(codes(plan([regular, damaged]), 'd')).toEqual(['not-expired']);
    expect(deletedNames(plan([regular, damaged], { now: Date.parse('2026-11-27T00:00:00Z') }))).toEqual(['d']);
  });
});

describe('never deleted', () => {
  const crowd = [backup('2026-11-23T10:00:00Z'), backup('2026-11-23T09:00:00Z'), backup('2026-11-23T08:00:00Z')];
  const policy = { daily: 1, weekly: 0, monthly: 0 };

  it('held backups, whatever their state', () => {
    const held = [
      backup('2020-01-01T00:00:00Z', { name: 'a', hold: true }),
      backup('2020-01-02T00:00:00Z', { name: 'b', hold: true, status: 'damaged' }),
      backup('2020-01-03T00:00:00Z', { name: 'c', hold: true, trigger: 'safety' }),
    ];
    const result = plan([...crowd, ...held], { policy });
    expect(keptNames(result)).toEqual(['2026-11-23T10:00:00Z', 'c', 'b', 'a']);
    expect(codes(result, 'a')).toEqual(['hold']);
  });

  it('the newest fully verified and the newest drill-proven', () => {
    const proven = [
      backup('2020-01-01T00:00:00Z', { name: 'v1', fullyVerifiedAt: '2026-11-01T00:00:00Z' }),
      backup('2020-01-02T00:00:00Z', { name: 'v2', fullyVerifiedAt: '2020-01-02T01:00:00Z' }),
      backup('2020-01-03T00:00:00Z', { name: 'd1', drillProvenAt: '2026-11-01T00:00:00Z' }),
      backup('2020-01-04T00:00:00Z', { name: 'd2', drillProvenAt: '2020-01-05T00:00:00Z' }),
    ];
    const result = plan([...crowd, ...proven], { policy });
    expect(keptNames(result)).toEqual(['2026-11-23T10:00:00Z', 'd2', 'v2']);
    expect(codes(result, 'v2')).toEqual(['newest-verified']);
    expect(codes(result, 'd2')).toEqual(['newest-drill-proven']);
  });

  it('the newest complete, be it a safety backup, beside the newest regular one', () => {
    const backups = [
      backup('2026-11-03T00:00:00Z', { name: 'safety', trigger: 'safety' }),
      backup('2026-11-02T00:00:00Z', { name: 'old safety', trigger: 'safety' }),
      backup('2026-11-01T00:00:00Z', { name: 'regular' }),
    ];
    const result = plan(backups);
    expect(deletedNames(result)).toEqual(['old safety']);
    expect(codes(result, 'safety')).toEqual(['newest-complete']);
    expect(codes(result, 'regular')).toContain('newest-complete');
  });

  it('the last thing there is, when nothing is complete', () => {
    const backups = [
      backup('2020-01-03T00:00:00Z', { name: 'damaged', status: 'damaged' }),
      backup('2020-01-02T00:00:00Z', { name: 'partial', status: 'partial' }),
      backup('2020-01-01T00:00:00Z', { name: 'older', status: 'partial' }),
    ];
    const result = plan(backups);
    expect(deletedNames(result)).toEqual(['damaged', 'older']);
    expect(codes(result, 'partial')).toEqual(['only-copy']);
  });

  it('anything while a manifest is unreadable', () => {
    const result = plan(daily(100), { unreadableManifests: 2 });
    expect(result.deleted).toEqual([]);
    expect(result.kept).toHaveLength(100);
    expect(result.blocked).toContain('2 manifests cannot be read');
  });

  it('anything dated in the future, and it evicts nobody', () => {
    const bogus = Array.from({ length: 30 }, (_, n) => backup(new Date(NOW + 1 + n * 86_400_000).toISOString()));
    const result = plan([...bogus, ...daily(60)]);
    expect(deletedNames(result)).toEqual(deletedNames(plan(daily(60))));
    expect(codes(result, '2026-11-23')).toContain('newest-complete');
    expect(codes(result, bogus[0]?.name ?? '')).toEqual(['future']);
  });

  it('what has no readable date', () => {
    const result = plan([...crowd, backup('not a date', { name: 'x' })], { policy });
    expect(codes(result, 'x')).toEqual(['date-unreadable']);
    expect(codes(result, '2026-11-23T10:00:00Z')).toContain('newest-complete');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalendar, OUTSIDE_TIERS_MS, planRetention } from './index.ts';
import type { RetentionBackup, RetentionInput } from './index.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const DAY = 86_400_000;
const ZONES = ['UTC', 'Europe/Warsaw', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia'] as const;

const when = fc
  .oneof(
    fc.integer({ min: -40 * 24, max: 3 * 24 }).map((hours) => NOW + hours * 3_600_000),
    fc.integer({ min: -800 * DAY, max: 0 }).map((ms) => NOW + ms),
  )
  .map((ms) => new Date(ms).toISOString());
const rarely = (value: fc.Arbitrary<string>): fc.Arbitrary<string | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });

function arbitraryBackup(createdAt: fc.Arbitrary<string>): fc.Arbitrary<Omit<RetentionBackup, 'name'>> {
  return fc
    .record({
      createdAt,
      status: fc.constantFrom('complete', 'complete', 'complete', 'partial', 'damaged'),
      trigger: fc.constantFrom('schedule', 'schedule', 'manual', 'safety'),
      hold: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      verified: rarely(when),
      proven: rarely(when),
    })
    .map(({ verified, proven, ...rest }) => ({
      ...rest,
      ...(verified === undefined ? {} : { fullyVerifiedAt: verified }),
      ...(proven === undefined ? {} : { drillProvenAt: proven }),
    }));
}

const backups = fc
  .array(arbitraryBackup(when), { maxLength: 60 })
  .map((list) => list.map((backup, n): RetentionBackup => ({ ...backup, name: `b${n}` })));
const tier = fc.integer({ min: 0, max: 5 });
const policy = fc
  .record({ daily: tier, weekly: tier, monthly: tier })
  .filter(({ daily, weekly, monthly }) => daily + weekly + monthly > 0);
const input: fc.Arbitrary<RetentionInput> = fc.record({
  backups,
  policy,
  timeZone: fc.constantFrom(...ZONES),
  now: fc.constant(NOW),
  unreadableManifests: fc.constant(0),
});

const isPast = (b: RetentionBackup): boolean => Date.parse(b.createdAt) <= NOW;
const isRegular = (b: RetentionBackup): boolean => b.status === 'complete' && b.trigger !== 'safety';

function check(property: (input: RetentionInput) => void, numRuns = 400): void {
  fc.assert(fc.property(input, property), { numRuns });
}

function deleted(of: RetentionInput): Set<string> {
  return new Set(planRetention(of).deleted.map((d) => d.name));
}

describe('retention, whatever the backups', () => {
  it('decides about each backup once, and gives a reason', () => {
    check((of) => {
      const { kept, deleted: gone } = planRetention(of);
      expect([...kept, ...gone].map((b) => b.name).sort()).toEqual(of.backups.map((b) => b.name).sort());
      for (const { reasons } of kept) expect(reasons.length).toBeGreaterThan(0);
      for (const { reason } of gone) expect(reason).not.toBe('');
    });
  });

  it('never deletes what is held, of the future, or young', () => {
    check((of) => {
      const gone = deleted(of);
      for (const b of of.backups) {
        const young = !isRegular(b) && NOW - Date.parse(b.createdAt) < OUTSIDE_TIERS_MS;
        if (b.hold || !isPast(b) || young) expect(gone).not.toContain(b.name);
      }
    });
  });

  it('never deletes the newest complete, fully verified or drill-proven one', () => {
    check((of) => {
      const gone = deleted(of);
      const complete = of.backups.filter((b) => isPast(b) && b.status === 'complete');
      for (const pool of [complete, complete.filter(isRegular)]) {
        for (const has of [
          () => true,
          (b: RetentionBackup) => b.fullyVerifiedAt,
          (b: RetentionBackup) => b.drillProvenAt,
        ]) {
          const chosen = pool.filter(has);
          const newest = Math.max(...chosen.map((b) => Date.parse(b.createdAt)));
          const tied = chosen.filter((b) => Date.parse(b.createdAt) === newest);
          if (tied.length > 0) expect(tied.some((b) => !gone.has(b.name))).toBe(true);
        }
      }
    });
  });

  it('leaves at least one backup where there was one', () => {
    check((of) => {
      expect(planRetention(of).kept.length > 0).toBe(of.backups.length > 0);
    });
  });

  it('keeps in each tier as many as it may, one a period, each the newest regular one of its period', () => {
    check((of) => {
      const periodsOf = createCalendar(of.timeZone);
      const plan = planRetention(of);
      const regular = of.backups.filter((b) => isPast(b) && isRegular(b));
      for (const [name, period] of [
        ['daily', 'day'],
        ['weekly', 'week'],
        ['monthly', 'month'],
      ] as const) {
        const label = (b: RetentionBackup): string => periodsOf(Date.parse(b.createdAt))[period];
        const holders = plan.kept
          .filter((k) => k.tiers.includes(name))
          .map((k) => regular.find((b) => b.name === k.name));
        const labels = holders.map((b) => (b ? label(b) : 'not regular'));
        const expected = [...new Set(regular.map(label))].sort().reverse().slice(0, of.policy[name]);
        expect(labels).toEqual(expected);
        for (const holder of holders) {
          const rivals = regular.filter((b) => holder && label(b) === label(holder));
          expect(Math.max(...rivals.map((b) => Date.parse(b.createdAt)))).toBe(Date.parse(holder?.createdAt ?? ''));
        }
      }
    });
  });

  it('deletes nothing more when it runs again at once', () => {
    check((of) => {
      const gone = deleted(of);
      const left = of.backups.filter((b) => !gone.has(b.name));
      expect(deleted({ ...of, backups: left }).size).toBe(0);
    });
  });

  it('does not depend on the order of its input', () => {
    fc.assert(
      fc.property(input, fc.array(fc.nat(), { minLength: 60, maxLength: 60 }), (of, keys) => {
        const shuffled = of.backups
          .map((backup, n) => ({ backup, key: keys[n] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ backup }) => backup);
        expect(planRetention({ ...of, backups: shuffled })).toEqual(planRetention(of));
      }),
      { numRuns: 200 },
    );
  });

  it('is not moved by backups of the future', () => {
    check((of) => {
      const past = of.backups.filter(isPast);
      expect(deleted(of)).toEqual(deleted({ ...of, backups: past }));
    });
  });

  it('gives a new day the place of the oldest one in a tier, and no other changes', () => {
    check((of) => {
      const last = { ...of, backups: of.backups.filter((b) => Date.parse(b.createdAt) <= NOW - 2 * DAY) };
      const added: RetentionBackup = {
        name: 'added',
        createdAt: new Date(NOW).toISOString(),
        status: 'complete',
        trigger: 'manual',
        hold: false,
      };
      const holders = (plan: ReturnType<typeof planRetention>): string[] =>
        plan.kept.filter((k) => k.tiers.includes('daily')).map((k) => k.name);
      const before = holders(planRetention(last));
      const after = holders(planRetention({ ...last, backups: [...last.backups, added] }));
      expect(after).toEqual(['added', ...before].slice(0, of.policy.daily));
    });
  });

  it('deletes nothing while a manifest cannot be read', () => {
    check((of) => {
      const plan = planRetention({ ...of, unreadableManifests: 1 });
      expect([plan.deleted, plan.kept.length]).toEqual([[], of.backups.length]);
    }, 100);
  });

  it('never brings back what a tighter policy keeps: a looser one keeps at least as much', () => {
    check((of) => {
      const { daily, weekly, monthly } = of.policy;
      const looser = deleted({ ...of, policy: { daily: daily + 1, weekly: weekly + 2, monthly: monthly + 1 } });
      const tighter = deleted(of);
      for (const name of looser) expect(tighter).toContain(name);
    });
  });
});

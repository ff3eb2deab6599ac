import type { Backup, Run } from '@foodsave-backup/contracts/types';
import { describe, expect, it } from 'vitest';
import { judge } from './verdict.ts';

const NOW = Date.parse('2026-11-23T12:00:00.000Z');
const HOUR = 3_600_000;
const hoursAgo = (hours: number): string => new Date(NOW - hours * HOUR).toISOString();

function backup(part: Partial<Backup> = {}): Backup {
  return {
    ...{ name: 'b', id: '01', status: 'complete', durationMs: 1, trigger: 'manual', tags: [], hold: false, tiers: [] },
    ...{ createdAt: hoursAgo(3), finishedAt: hoursAgo(3), sizeBytes: 1, storedBytes: 1, components: {} },
    verification: { level: 'new', status: 'ok', at: hoursAgo(3) },
    ...part,
  };
}

function verdict(backups: Backup[] | undefined, runs: Run[] = [], ageMs = 0): string {
  const { verdict: word, reason } = judge({ backups, runs, updatedAt: NOW - ageMs, now: NOW });
  return `${word} ${reason}`;
}

const failed: Readonly<Run> = {
  id: '01',
  command: 'create',
  status: 'failed',
  startedAt: hoursAgo(1),
  finishedAt: hoursAgo(1),
};

describe('the verdict', () => {
  it('is good only with a newest backup that is complete and whose new data was verified', () => {
    expect(verdict([backup()])).toBe('backedUp fine');
    expect(verdict([backup({ verification: { level: 'full', status: 'ok', at: hoursAgo(1) } })])).toBe('backedUp fine');
  });

  it('without a backup is "not protected"; safety backups do not count', () => {
    expect(verdict([])).toBe('notProtected none');
    expect(verdict([backup({ trigger: 'safety' })])).toBe('notProtected none');
    expect(verdict([backup({ status: 'partial' })])).toBe('notProtected noComplete');
  });

  it.each<[string, Partial<Backup>]>([
    ['atRisk partial', { status: 'partial' }],
    ['atRisk damaged', { status: 'damaged' }],
    ['atRisk damaged', { verification: { level: 'full', status: 'damaged', at: hoursAgo(1) } }],
    ['atRisk unverified', { verification: { level: 'none', status: 'none' } }],
    ['atRisk quickOnly', { verification: { level: 'quick', status: 'ok', at: hoursAgo(1) } }],
    ['atRisk old', { createdAt: hoursAgo(24 * 8) }],
  ])('%s, whatever older backups are', (expected, part) => {
    expect(verdict([backup(part), backup({ createdAt: hoursAgo(24 * 9) })])).toBe(expected);
  });

  it('tells of an older backup that is damaged', () => {
    const backups = [backup(), backup({ status: 'damaged' }), backup({ status: 'damaged' })];
    expect(judge({ backups, runs: [], updatedAt: NOW, now: NOW })).toMatchObject({ reason: 'otherDamaged', count: 2 });
  });

  it('tells of a failed attempt since the newest backup, not of one that a person stopped', () => {
    expect(verdict([backup()], [failed])).toBe('atRisk failed');
    expect(verdict([backup({ createdAt: hoursAgo(0.5) })], [failed])).toBe('backedUp fine');
    expect(verdict([backup()], [{ ...failed, status: 'cancelled' }])).toBe('backedUp fine');
    expect(verdict([backup()], [{ ...failed, command: 'verify' }])).toBe('backedUp fine');
  });

  it('is unknown without news, whatever the last news was', () => {
    expect(verdict(undefined)).toBe('unknown noNews');
    expect(verdict([backup()], [], 61_000)).toBe('unknown stale');
    expect(verdict([], [], 61_000)).toBe('unknown stale');
    expect(verdict([backup()], [], 59_000)).toBe('backedUp fine');
  });
});

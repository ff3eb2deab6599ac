import type { Run, RunEvent } from '@foodsave-backup/contracts/types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyEvent,
  applyJournal,
  applySnapshot,
  componentsOf,
  fractionOf,
  isFinished,
  rateOf,
  timeLeftOf,
  warningsOf,
  type TrackedRun,
} from './tracked-run.ts';

const ID = '01k9z3s5e8m0v6qv7c2d4f8g1h';
const START = Date.parse('2026-11-23T02:00:00.000Z');
const NOW = START + 3_600_000;
const at = (ms: number): string => new Date(START + ms).toISOString();
const base = (seq: number, ms = seq * 1000): { runId: string; seq: number; at: string } => ({
  runId: ID,
  seq,
  at: at(ms),
});

const started: RunEvent = { ...base(1), type: 'run.started', command: 'create', detail: {} };
const progress = (seq: number, doneBytes: number, phase = 'capture'): RunEvent => ({
  ...base(seq),
  type: 'progress',
  progress: { phase, doneBytes, totalBytes: 1000, doneFiles: 0 },
});
const finished = (seq: number): RunEvent => ({ ...base(seq), type: 'run.finished', status: 'succeeded', result: {} });
const run = (part: Partial<Run> = {}): Run => ({
  id: ID,
  command: 'create',
  status: 'running',
  startedAt: at(0),
  ...part,
});

function play(events: readonly RunEvent[], from?: TrackedRun): TrackedRun {
  const tracked = events.reduce<TrackedRun | undefined>((known, event) => applyEvent(known, event, NOW), from);
  if (tracked === undefined) throw new Error('nothing was tracked');
  return tracked;
}

describe('events', () => {
  it('bring a run from its start to its end', () => {
    const tracked = play([started, progress(2, 100), progress(3, 400), finished(4)]);
    expect(tracked.run).toMatchObject({ id: ID, command: 'create', status: 'succeeded', finishedAt: at(4000) });
    expect(tracked.seq).toBe(4);
  });

  it('out of order never lower progress', () => {
    const tracked = play([started, progress(3, 400), progress(2, 100)]);
    expect(tracked.run.progress?.doneBytes).toBe(400);
  });

  it('never take a finished run back', () => {
    const tracked = play([started, finished(2), progress(3, 10)]);
    expect(tracked.run.status).toBe('succeeded');
    expect(tracked.run.progress).toBeUndefined();
  });

  it('of an unknown run are left to the next question, unless they begin it', () => {
    expect(applyEvent(undefined, progress(5, 100), NOW)).toBeUndefined();
    expect(applyEvent(undefined, started, NOW)?.run.status).toBe('running');
  });

  it('in any order end in the same state', () => {
    const warning: RunEvent = { ...base(4), type: 'warning', code: 'SOURCE_CHANGED', message: 'changed' };
    const component: RunEvent = { ...base(2), type: 'component.started', component: 'files:main' };
    const events = [component, progress(3, 300), warning, progress(5, 500), finished(6)];
    const whole = play([started, ...events]);
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (shuffled) => {
        const tracked = play(shuffled, play([started]));
        expect(tracked.seq).toBe(6);
        expect(tracked.run.status).toBe('succeeded');
        expect(tracked.journal).toEqual(whole.journal);
      }),
    );
  });
});

describe('answers of the server', () => {
  it('that were asked for before the latest event do not lower progress', () => {
    const known = play([started, progress(2, 600)]);
    const snapshot = run({ progress: { phase: 'capture', doneBytes: 100, totalBytes: 1000, doneFiles: 0 } });
    expect(applySnapshot(known, snapshot, NOW - 500).run.progress?.doneBytes).toBe(600);
  });

  it('are believed when the stream has fallen silent', () => {
    const known = play([started, progress(2, 600)]);
    const snapshot = run({ progress: { phase: 'verify', doneBytes: 100, totalBytes: 1000, doneFiles: 0 } });
    const tracked = applySnapshot(known, snapshot, NOW + 5000);
    expect(tracked.run.progress?.phase).toBe('verify');
    expect(tracked.phases).toEqual(['capture', 'verify']);
  });

  it('end a run, and never begin a finished one again', () => {
    const known = play([started, progress(2, 600)]);
    const ended = applySnapshot(known, run({ status: 'failed', finishedAt: at(9000) }), NOW - 500);
    expect(ended.run.status).toBe('failed');
    expect(applySnapshot(ended, run(), NOW + 60_000).run.status).toBe('failed');
  });
});

describe('the journal', () => {
  const warning: RunEvent = { ...base(3), type: 'warning', code: 'SOURCE_CHANGED', message: 'changed', path: 'a' };
  const journal: RunEvent[] = [
    started,
    { ...base(2), type: 'component.started', component: 'files:main' },
    warning,
    progress(4, 300),
    { ...base(5), type: 'component.finished', component: 'files:main', status: 'complete' },
    progress(6, 100, 'verify'),
  ];

  it('fills in what happened before the page was opened', () => {
    const known = applySnapshot(undefined, run({ progress: { phase: 'verify', doneBytes: 100, doneFiles: 0 } }), NOW);
    const tracked = applyJournal(known, journal, NOW);
    expect(tracked?.phases).toEqual(['capture', 'verify']);
    expect(tracked && warningsOf(tracked)).toEqual([warning]);
    expect(tracked && [...componentsOf(tracked)]).toEqual([['files:main', 'complete']]);
  });

  it('does not take back what came meanwhile', () => {
    const known = play([...journal, progress(7, 900, 'verify')]);
    const tracked = applyJournal({ ...known, journal: [], phases: ['verify'] }, journal, NOW);
    expect(tracked?.run.progress?.doneBytes).toBe(900);
    expect(tracked?.phases).toEqual(['capture', 'verify']);
    expect(tracked?.journal).toHaveLength(4);
  });

  it('leaves a finished run finished', () => {
    const known = applySnapshot(undefined, run({ status: 'cancelled', finishedAt: at(9000) }), NOW);
    expect(applyJournal(known, journal, NOW)?.run.status).toBe('cancelled');
  });
});

describe('figures', () => {
  it('rate and time left follow the samples of the present phase', () => {
    const tracked = play([started, progress(2, 0), progress(3, 100), progress(4, 200)]);
    expect(rateOf(tracked)).toBe(100);
    expect(timeLeftOf(tracked)).toBe(8000);
    expect(fractionOf(tracked)).toBe(0.2);
    const next = play([progress(5, 10, 'verify')], tracked);
    expect(rateOf(next)).toBeUndefined();
  });

  it('the fraction stays between nothing and all', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (doneBytes, totalBytes, totalFiles) => {
        const snapshot = run({ progress: { phase: 'x', doneBytes, totalBytes, doneFiles: 1, totalFiles } });
        const fraction = fractionOf(applySnapshot(undefined, snapshot, NOW));
        expect(fraction === undefined || (fraction >= 0 && fraction <= 1)).toBe(true);
      }),
    );
  });

  it('know which states are ends', () => {
    expect((['queued', 'running', 'failed', 'interrupted'] as const).map(isFinished)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

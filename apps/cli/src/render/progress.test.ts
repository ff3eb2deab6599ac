import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunProgress } from '@foodsave-backup/kernel';
import { fractionOf, phaseText, progressLine, RateMeter } from './progress.ts';
import { displayWidth } from './text.ts';

const PROGRESS: RunProgress = {
  phase: 'capture',
  component: 'database:main',
  current: 'data/app.db',
  doneBytes: 1_200_000_000,
  totalBytes: 1_800_000_000,
  doneFiles: 1200,
};

describe('a progress line', () => {
  it('has bar, share, bytes, rate and time left', () => {
    expect(progressLine(PROGRESS, 15_000_000, 130)).toBe(
      'Backing up database:main  ████████████████░░░░░░░░  66 %  1.2 GB / 1.8 GB  1,200 files  15.0 MB/s  0:40 left  data/app.db',
    );
  });

  it('does without what is unknown', () => {
    expect(progressLine({ phase: 'structure', doneBytes: 0, doneFiles: 0 }, undefined, 80)).toBe(
      'Checking the structure  0 B',
    );
  });

  it('never wraps, whatever the width', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.nat(),
        fc.option(fc.nat(), { nil: undefined }),
        fc.string(),
        (width, doneBytes, totalBytes, current) => {
          const progress: RunProgress = {
            phase: 'verify',
            doneBytes,
            doneFiles: 3,
            current,
            ...(totalBytes === undefined ? {} : { totalBytes }),
          };
          const line = progressLine(progress, 1000, width);
          expect(displayWidth(line)).toBeLessThanOrEqual(width);
          expect(line).not.toContain('\n');
          const fraction = fractionOf(progress);
          expect(fraction === undefined || (fraction >= 0 && fraction <= 1)).toBe(true);
        },
      ),
    );
  });

  it('says of a restore that its backup is the safety backup', () => {
    expect(phaseText(PROGRESS, 'create')).toBe('Backing up database:main');
    expect(phaseText(PROGRESS, 'restore')).toBe('Saving the present database:main');
  });
});

describe('the rate', () => {
  it('is that of the last moments, and starts anew with a phase', () => {
    const meter = new RateMeter();
    const at = (doneBytes: number, now: number, phase = 'capture'): number | undefined =>
      meter.observe({ phase, doneBytes, doneFiles: 0 }, now);
    expect(at(0, 1000)).toBeUndefined();
    expect(at(1000, 2000)).toBe(1000);
    // Too soon to say anything new.
    expect(at(9000, 2100)).toBe(1000);
    expect(at(2000, 3000)).toBeCloseTo(1000);
    expect(at(2000, 4000)).toBeCloseTo(700);
    expect(at(100, 5000, 'verify')).toBeUndefined();
    expect(at(600, 6000, 'verify')).toBe(500);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupView, RestoreResult } from '@foodsave-backup/engine';
import { backupText, listText } from './backup.ts';
import { errorText, traceText } from './error.ts';
import { planText } from './restore.ts';
import { modeText, verifyText } from './results.ts';
import { styleFor } from './style.ts';
import { statusText, verificationWords } from './status.ts';
import { table } from './table.ts';
import { count, displayWidth, grouped, shorten, visible } from './text.ts';
import { formatAge, formatBytes, formatClock, formatDuration, formatWhen } from './units.ts';

const plain = styleFor(false);
const NOW = Date.parse('2026-11-23T12:00:00.000Z');

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [99_949, '99.9 kB'],
    [99_950, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [1_800_000_000, '1.8 GB'],
    [2_500_000_000_000, '2.5 TB'],
    [9e18, '9000 PB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('never need more than four digits below a thousand petabytes, and keep the order of magnitude', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e15 }), (bytes) => {
        const [number = '', unit = ''] = formatBytes(bytes).split(' ');
        const factor = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15 }[unit] ?? Number.NaN;
        expect(Number(number)).toBeLessThan(1000);
        expect(Math.abs(Number(number) * factor - bytes)).toBeLessThanOrEqual(0.051 * Math.max(factor, 0.2 * bytes));
      }),
    );
  });
});

describe('times', () => {
  it.each([
    [0, '0.0 s'],
    [4_240, '4.2 s'],
    [59_600, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
  ])('%i ms last %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [8_000, '0:08'],
    [750_000, '12:30'],
    [3_723_000, '1:02:03'],
  ])('%i ms left are %s', (ms, text) => {
    expect(formatClock(ms)).toBe(text);
  });

  it.each([
    ['2026-11-23T11:59:30.000Z', 'just now'],
    ['2026-11-23T11:15:00.000Z', '45 min ago'],
    ['2026-11-23T09:00:00.000Z', '3 h ago'],
    ['2026-11-20T12:00:00.000Z', '3 d ago'],
    ['2024-11-20T12:00:00.000Z', '2 y ago'],
    ['2026-11-25T13:00:00.000Z', 'in 2 d'],
    ['never', 'unknown'],
  ])('%s was %s', (iso, text) => {
    expect(formatAge(iso, NOW)).toBe(text);
  });

  it('stand beside the absolute one', () => {
    expect(formatWhen('2026-11-23T09:00:00.123Z', NOW)).toBe('3 h ago (2026-11-23T09:00:00Z)');
  });
});

describe('text from outside', () => {
  it('cannot steer the terminal', () => {
    expect(visible('a\u001b[2Jb\nc\u202ed\u0007')).toBe('a?[2Jb?c?d?');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visible(text)).not.toMatch(/\p{Cc}|\p{Cf}/u);
      }),
    );
  });

  it('is shortened to the columns there are', () => {
    expect(shorten('data/uploads/2026/11/invoice.pdf', 20)).toBe('data/u…1/invoice.pdf');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 60 }), (text, width) => {
        expect(displayWidth(shorten(visible(text), width))).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('is counted in English', () => {
    expect([count(1, 'file'), count(2, 'file'), count(0, 'entry', 'entries')]).toEqual([
      '1 file',
      '2 files',
      '0 entries',
    ]);
    expect(grouped(1_234_567)).toBe('1,234,567');
  });
});

describe('tables', () => {
  it('align by what a terminal shows, colours and wide characters included', () => {
    const color = styleFor(true);
    const text = table(
      [{ title: 'Name' }, { title: 'Size', align: 'right' }],
      [
        [color.red('żółć'), '1 B'],
        ['日本', '100 kB'],
      ],
      plain,
    );
    expect(text.split('\n')).toEqual(['NAME    SIZE', `${color.red('żółć')}     1 B`, '日本  100 kB']);
  });
});

describe('words', () => {
  it('carry a symbol, so that colours are not needed', () => {
    expect(['complete', 'partial', 'damaged', 'up'].map((status) => statusText(status, plain))).toEqual([
      '✓ complete',
      '▲ partial',
      '✗ damaged',
      '✓ up',
    ]);
  });

  it('promise no more than was looked at', () => {
    const words = (['none', 'new', 'quick', 'full'] as const).map((level) =>
      verificationWords({ level, status: level === 'none' ? 'none' : 'ok' }, plain),
    );
    expect(words).toEqual(['· not verified', 'new data verified', 'presence and sizes checked', '✓ all data verified']);
    expect(verificationWords({ level: 'full', status: 'damaged' }, plain)).toBe('✗ damage found');
  });

  it('of a full verification without checksums say that only sizes were looked at', () => {
    const result = {
      name: 'x',
      level: 'full',
      status: 'ok',
      checkedBytes: 0,
      checkedFiles: 0,
      damaged: [],
      notes: [],
    } as const;
    expect(verifyText({ ...result, damaged: [], notes: [] }, plain)).toBe('✓ ok  x: presence and sizes checked');
  });

  it('show modes as ls does', () => {
    expect([
      modeText('file', 0o640),
      modeText('directory', 0o1777),
      modeText('file', 0o4755),
      modeText('symlink', undefined),
    ]).toEqual(['-rw-r-----', 'drwxrwxrwt', '-rwsr-xr-x', 'l']);
  });
});

describe('errors', () => {
  it('say what happened and what to do next, a line each', () => {
    const error = { code: 'CONFIG_INVALID', message: 'two\nlines', hint: 'first\nsecond' } as const;
    expect(errorText(error, plain)).toBe('Error [CONFIG_INVALID]: two\nlines\n→ first\n→ second');
  });

  it('show their causes only in the trace', () => {
    const error = new Error('outer', { cause: new Error('inner') });
    expect(traceText(error, plain)).toMatch(/^Error: outer\n[^]*caused by: Error: inner/);
  });
});

const BACKUP: BackupView = {
  name: 'monday',
  id: '01k9z3s5e8m0v6qv7c2d4f8g1h',
  status: 'partial',
  createdAt: '2026-11-23T09:00:00.000Z',
  finishedAt: '2026-11-23T09:00:04.200Z',
  durationMs: 4200,
  trigger: 'manual',
  tags: ['release\u001b[31m'],
  sizeBytes: 1_800_000_000,
  storedBytes: 42_000_000,
  components: {
    'database:main': {
      type: 'database',
      status: 'complete',
      files: 1,
      sizeBytes: 1_800_000_000,
      storedBytes: 42_000_000,
      capturedAt: '2026-11-23T09:00:01.000Z',
      facts: {
        capturedAt: 'x',
        tables: [
          { name: 'items', rows: 5000 },
          { name: 'users', rows: 3 },
        ],
        integrityCheck: 'ok',
        none: null,
      },
    },
    'files:main': { type: 'files', status: 'failed', files: 0, sizeBytes: 0, storedBytes: 0, facts: {} },
  },
  verification: { level: 'new', status: 'ok', at: '2026-11-23T09:00:04.000Z' },
  hold: false,
  tiers: ['daily'],
  error: { code: 'SOURCE_MISSING', message: 'It is gone', hint: 'Bring it back.' },
};

describe('backups', () => {
  it('are listed in one line each', () => {
    const damaged: BackupView = { ...BACKUP, name: 'lost', id: '', status: 'damaged', components: {}, tags: [] };
    const text = listText({ items: [BACKUP, damaged], total: 7, nextCursor: 'abc' }, NOW, plain);
    expect(text).toContain(
      'monday  ▲ partial  3 h ago  2026-11-23T09:00:00Z  1.8 GB  42.0 MB  database:main,files:main(failed)  new data verified  release?[31m',
    );
    expect(text).toMatch(/lost +✗ damaged +unknown +unknown/);
    expect(text).toMatch(/2 of 7 backups\. More: --cursor abc$/);
    expect(listText({ items: [], total: 0 }, NOW, plain)).toBe('No backups.');
  });

  it('are shown with facts, components and the reason why they are not whole', () => {
    const text = backupText(BACKUP, NOW, plain);
    expect(text).toMatch(/Created +3 h ago \(2026-11-23T09:00:00Z\)/);
    expect(text).toMatch(/Verification +new data verified, 2 h ago/);
    expect(text).toMatch(/tables +items \(rows 5,000\), users \(rows 3\)/);
    expect(text).toMatch(/none +none/);
    expect(text).toMatch(/files:main +✗ failed/);
    expect(text).toContain('Error [SOURCE_MISSING]: It is gone\n→ Bring it back.');
  });
});

describe('previews', () => {
  it('always name what is lost, and everything on demand', () => {
    const deleted = Array.from({ length: 12 }, (_, i) => `data/${String(i)}`);
    const plan = {
      added: ['data/new'],
      replaced: [],
      deleted,
      counts: { added: 1, replaced: 0, deleted: 12, unchanged: 3 },
      bytes: 10,
    };
    const result: RestoreResult = {
      name: 'monday',
      dryRun: true,
      components: {},
      plan: { 'files:main': plan },
      failed: [],
    };
    const short = planText(result, false, plain);
    expect(short).toMatch(/files:main +1 +0 +12 +3 +10 B/);
    expect(short).toContain('  data/9\n  and 2 more');
    expect(short).not.toContain('data/new');
    expect(planText(result, true, plain)).toMatch(/ {2}data\/11\n[^]*added:\n {2}data\/new/);
  });
});

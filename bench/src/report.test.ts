import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { generateSample, databasePath } from '@foodsave-backup/example-foodsave/sample';
import { describe, expect, it } from 'vitest';
import { makeHalves, makeSmallFiles, spendDay } from './data.ts';
import { limitLines, machineLimits } from './limits.ts';
import { measure, median } from './measure.ts';
import { summarize, table } from './report.ts';

describe('bench', () => {
  it('takes medians, and divides ours by what restic took', () => {
    const sample = (tool: string, value: number) => ({ figure: 'first backup', tool, value, unit: 's' as const });
    const samples = [3, 1, 2].map((n) => sample('foodsave-backup', n)).concat([8, 4].map((n) => sample('restic', n)));
    const [figure] = summarize(samples);
    expect(figure).toMatchObject({ medians: { 'foodsave-backup': 2, restic: 6 } });
    expect(figure?.ratio).toBeCloseTo(1 / 3);
    expect(table(summarize(samples), ['foodsave-backup', 'restic', 'borg'])).toContain(
      '| first backup | 2.00 s | 6.00 s | – | 0.33 |',
    );
    expect(median([])).toBeNaN();
  });

  it('counts the processor time and the memory of grandchildren', async () => {
    const burn =
      'const b = Buffer.alloc(150e6, 1); let n = 0; const end = process.cpuUsage().user + 4e5; while (process.cpuUsage().user < end) n += b[n % b.length];';
    const script = `require('node:child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(burn)}])`;
    const measured = await measure({ argv: [process.execPath, '-e', script] });
    expect(measured.cpuSeconds).toBeGreaterThan(0.35);
    expect(measured.seconds).toBeGreaterThanOrEqual(0.35);
    expect(measured.peakBytes).toBeGreaterThan(150e6);
  });

  it('says what a command printed when it fails', async () => {
    const failing = measure({ argv: [process.execPath, '-e', 'console.error("no such thing"); process.exit(3)'] });
    await expect(failing).rejects.toThrow(/ended with 3:[^]*no such thing/);
  });

  it('spends days that leave an application whole: FAISS reads the vectors, SQLite the rows', () => {
    const directory = mkdtempSync(join(tmpdir(), 'foodsave-bench-test-'));
    try {
      generateSample(directory, { scale: 0.1 });
      const vectors = join(directory, 'data', 'vector_store');
      const count = (): number =>
        (JSON.parse(readFileSync(join(vectors, 'index.meta.json'), 'utf8')) as { count: number }).count;
      const before = count();
      for (const day of [1, 2]) spendDay(directory, day);
      expect(count()).toBe(before + 40);
      const index = join(vectors, 'index.faiss');
      const asked = `import faiss; i = faiss.read_index('${index}'); print(i.ntotal, i.d)`;
      expect(execFileSync('/usr/bin/python3', ['-c', asked], { encoding: 'utf8' }).trim()).toBe(`${before + 40} 384`);
      const rows = execFileSync(
        'sqlite3',
        [databasePath(directory), 'SELECT count(*) FROM ledger; PRAGMA integrity_check'],
        { encoding: 'utf8' },
      );
      expect(rows.trim().split('\n')).toEqual(['401', 'ok']);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('makes as many small files as it was told', () => {
    const directory = mkdtempSync(join(tmpdir(), 'foodsave-bench-test-'));
    try {
      mkdirSync(join(directory, 'data'), { recursive: true });
      makeSmallFiles(directory, 1200);
      const found = execFileSync('find', [join(directory, 'data'), '-type', 'f'], { encoding: 'utf8' })
        .trim()
        .split('\n');
      expect(found).toHaveLength(1200);
      for (const path of found.slice(0, 50)) expect(statSync(path).size).toBeLessThanOrEqual(4096);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('makes halves: as many bytes as it was told, a database that is whole, and half of each compressible', () => {
    const directory = mkdtempSync(join(tmpdir(), 'foodsave-bench-test-'));
    try {
      makeHalves(directory, 20e6);
      const files = join(directory, 'data', 'files');
      const bytes = readdirSync(files).reduce((sum, name) => sum + statSync(join(files, name)).size, 0);
      expect(bytes).toBe(10e6);
      const database = join(directory, 'data', 'rows.db');
      expect(Math.abs(statSync(database).size - 10e6)).toBeLessThan(1e6);
      const asked = execFileSync('sqlite3', [database, 'PRAGMA integrity_check'], { encoding: 'utf8' });
      expect(asked).toBe('ok\n');
      for (const path of [database, join(files, '0.bin')]) {
        const plain = readFileSync(path);
        const part = zstdCompressSync(plain).length / plain.length;
        expect(part).toBeGreaterThan(0.4);
        expect(part).toBeLessThan(0.6);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('knows what the machine can do at most', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'foodsave-bench-test-'));
    try {
      const limits = await machineLimits(directory, 1);
      expect(Object.keys(limits)).toEqual(expect.arrayContaining(['SHA-256', 'page cache, read', 'SQLite backup API']));
      for (const [name, rate] of Object.entries(limits)) expect(rate, name).toBeGreaterThan(1e6);
      expect(readdirSync(directory)).toEqual([]);
      expect(limitLines({ 'SHA-256': 2.5e9 })).toBe('SHA-256: 2500 MB/s on one core\n');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { BackupView } from '@foodsave-backup/engine';
import { finished, Workspace } from '../testing/workspace.ts';

const FILES = ['--components', 'files'];

async function threadNames(pid: number): Promise<string[]> {
  const ids = await readdir(`/proc/${pid}/task`);
  return Promise.all(ids.map(async (id) => (await readFile(`/proc/${pid}/task/${id}/comm`, 'utf8')).trim()));
}

describe('limits of a command', () => {
  it.each(['--limit-read', '--limit-upload'])('%s makes a backup take the time of its bytes', async (option) => {
    await using workspace = await Workspace.withData(10);
    // 1.5 s of bytes that no compressor makes fewer, beside what the sample has.
    const bytes = Buffer.alloc(300_000).map((_, i) => (Math.imul(i, 2_654_435_761) >>> 13) ^ (i * 31));
    await workspace.write('data/uploads/photo.bin', bytes);
    const started = performance.now();
    const backup = await workspace.json<BackupView>(['create', ...FILES, option, '200 kB/s']);
    const seconds = (performance.now() - started) / 1000;
    const counted = option === '--limit-read' ? backup.sizeBytes : backup.storedBytes;
    expect(counted).toBeGreaterThan(0);
    expect(seconds).toBeGreaterThanOrEqual(counted / 200_000);
  });

  it('a backup that waits is interrupted at once, on a pool of threads that leaves files their own', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.write(
      'backup.yaml',
      `${await readFile(workspace.path('backup.yaml'), 'utf8')}limits: { read: 4 kB }\n`,
    );
    await workspace.write('data/uploads/large.bin', Buffer.alloc(2_000_000, 1));
    const child = workspace.start(['create', ...FILES, '--json', '--progress']);
    const ended = finished(child);
    let seen = '';
    child.stdout?.on('data', (bytes: Buffer) => (seen += bytes.toString()));
    // It reads: eight minutes of bytes is left.
    await expect.poll(() => seen, { timeout: 30_000 }).toContain('"current":"data/uploads/');
    const pool = (await threadNames(child.pid!)).filter((name) => name === 'libuv-worker');
    expect(pool).toHaveLength(Math.min(64, availableParallelism()) + 2);
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alignedBuffer } from '@foodsave-backup/kernel';
import { writeSynced } from './write-synced.ts';

const MIB = 1024 * 1024;

/** Bytes that differ from page to page, in memory that begins at a page. */
function body(length: number): Buffer {
  const bytes = alignedBuffer(length).subarray(0, length);
  for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(at, Math.min(at, length - 4));
  return bytes;
}

describe('what is written past the page cache', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'direct-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it.each([MIB, MIB + 1, MIB + 4095, MIB + 4096, 8 * MIB + 1234])('%i bytes are stored as they are', async (length) => {
    const path = join(directory, 'x');
    const bytes = body(length);
    await writeSynced(path, bytes, undefined);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('never writes over a file that is there', async () => {
    const path = join(directory, 'x');
    await writeSynced(path, body(MIB), undefined);
    await expect(writeSynced(path, body(2 * MIB), undefined)).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await stat(path)).size).toBe(MIB);
  });

  /** Writes `length` bytes and one, from memory at a page or not, in a process whose calls are `O_DIRECT`, others and failures. */
  const traced = (
    length: number,
    aligned: boolean,
    inject: string[] = [],
  ): { lines: string[]; status: number | null } => {
    const url = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
    const script = `import { writeSynced } from ${url('./write-synced.ts')};
      import { alignedBuffer } from ${url('../../../kernel/src/index.ts')};
      const bytes = ${aligned ? 'alignedBuffer' : 'Buffer.alloc'}(${length + 1}).fill(7).subarray(0, ${length + 1});
      await writeSynced(${JSON.stringify(join(directory, 'x'))}, bytes);`;
    const log = join(directory, 'log');
    const faults = inject.flatMap((rule) => ['-e', `inject=${rule}`]);
    const calls = ['-f', '-y', '-o', log, '-e', 'trace=openat,write,pwrite64,fsync', ...faults];
    const node = [process.execPath, '--conditions=@foodsave-backup/source', '--input-type=module', '-e', script];
    // strace counts `when` for each thread.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const { status, error } = spawnSync('strace', [...calls, ...node], { encoding: 'utf8', env });
    if (error) throw new Error('strace is needed for this test (apt-get install strace)', { cause: error });
    const lines = execFileSync('grep', ['-F', `${directory}/x`, log], { encoding: 'utf8' })
      .trim()
      .split('\n');
    return { lines, status };
  };
  const written = (line: string): string | undefined =>
    /pwrite64\(.*, (\d+), \d+[)<]/.exec(line.replace(' <unfinished ...>', ')'))?.[1];

  it('large bodies go directly but for what is less than a page, and are synced once', () => {
    const { lines, status } = traced(2 * MIB, true);
    expect(status).toBe(0);
    expect(lines.filter((line) => line.includes('openat')).map((line) => line.includes('O_DIRECT'))).toEqual([
      true,
      false,
    ]);
    expect(lines.map(written).filter((bytes) => bytes !== undefined)).toEqual([String(2 * MIB), '1']);
    expect(lines.filter((line) => line.includes('fsync'))).toHaveLength(1);
  });

  it.each([
    ['small', 100_000, true],
    ['at no page of memory', 2 * MIB, false],
  ])('bodies that are %s go through the page cache', (_why, length, aligned) => {
    const { lines } = traced(length, aligned);
    expect(lines.some((line) => line.includes('O_DIRECT'))).toBe(false);
  });

  it('a file system that refuses a direct write gets all of it through the page cache', async () => {
    const { status } = traced(2 * MIB, true, ['pwrite64:error=EINVAL:when=1']);
    expect(status).toBe(0);
    const stored = await readFile(join(directory, 'x'));
    expect(stored.equals(Buffer.alloc(2 * MIB + 1, 7))).toBe(true);
  });

  it('a full disk is said to be full', async () => {
    const { status, lines } = traced(2 * MIB, true, ['pwrite64:error=ENOSPC:when=1']);
    expect(status).toBe(1);
    expect(lines.some((line) => line.includes('fsync'))).toBe(false);
    expect(await readdir(directory)).toContain('x');
  });
});

import { execFileSync, spawn } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CLI = fileURLToPath(new URL('../bin/foodsave-backup', import.meta.url));
const FILES = 100_000;
const LARGE = 5_000_000_000 - 14 * FILES;
/** Past 4 GiB, where 32 bits end. */
const MARK = 4 * 2 ** 30 + 123;
const MEMORY_MAX = 300_000_000;
/** An import of the ZIP takes 276 MB, of the TAR.GZ 308 to 321 MB (2026-11-25, printed below): over the same bar, and watched. */
const IMPORT_MAX = 400_000_000;

let temp: TempDir;
beforeAll(async () => {
  temp = await tempDir('foodsave-export-');
  await writeFile(
    temp.join('backup.yaml'),
    'application: big\nrepository: { type: local, path: ./backups }\ncomponents: { files: { include: [./data] } }\n',
  );
  for (let d = 0; d < FILES / 500; d++) {
    const directory = temp.join('data', `d${d}`);
    await mkdir(directory, { recursive: true });
    await Promise.all(
      Array.from({ length: 500 }, (_, f) => writeFile(join(directory, `f${f}.txt`), `${d}/${f}`.padEnd(14))),
    );
  }
  // Zeros but for a mark: what costs is the way through all of it, not the disk.
  const large = await open(temp.join('data/large.bin'), 'w');
  await large.truncate(LARGE);
  await large.write(Buffer.from('not only zeros'), 0, 14, MARK);
  await large.close();
  await cli('create', '--name', 'big', '--no-encryption', '--no-verify');
}, 600_000);
afterAll(async () => {
  await temp.cleanup();
}, 120_000);

/** A process and all below it that live now. */
async function family(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const below = await Promise.all(children.split(' ').filter(Boolean).map(Number).map(family));
  return [pid, ...below.flat()];
}

/** Runs the command line as people do, and gives the most memory that its processes ever had, together (bytes, VmHWM). */
async function cli(...args: string[]): Promise<number> {
  const started = performance.now();
  const child = spawn(CLI, [...args, '--quiet'], { cwd: temp.path, stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const peaks = new Map<number, number>();
  const look = setInterval(() => {
    void (async () => {
      for (const pid of await family(child.pid ?? 0)) {
        // A peak only grows: the last look before the end tells it.
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
        const kib = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
        peaks.set(pid, Math.max(peaks.get(pid) ?? 0, kib * 1024));
      }
    })();
  }, 100);
  const code = await ended;
  clearInterval(look);
  expect(code, args.join(' ')).toBe(0);
  const peak = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
  expect(peak).toBeGreaterThan(0);
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stdout.write(`${args.slice(0, 2).join(' ')}: ${Math.round(peak / 1e6)} MB of memory, ${seconds} s\n`);
  return peak;
}

describe('an export of 5 GB with 100,000 files', { timeout: 900_000 }, () => {
  it('as ZIP opens with unzip, imports again, and takes less than 300 MB of memory to make', async () => {
    const exported = await cli('export', 'big', '--output', 'big.zip');
    expect(execFileSync('unzip', ['-tqq', temp.join('big.zip')]).toString()).toBe('');
    const imported = await cli('import', 'big.zip', '--name', 'from_zip');
    expect(exported).toBeLessThan(MEMORY_MAX);
    expect(imported).toBeLessThan(IMPORT_MAX);
  });

  it('as TAR.GZ opens with tar, imports again, and takes less than 300 MB of memory to make', async () => {
    const exported = await cli('export', 'big', '--output', 'big.tar.gz');
    const listed = execFileSync('tar', ['tzf', temp.join('big.tar.gz')], { maxBuffer: 64 << 20, encoding: 'utf8' });
    const names = listed.split('\n');
    expect(names.filter((name) => name.endsWith('.txt'))).toHaveLength(FILES);
    expect(names).toContain('data/large.bin');
    const imported = await cli('import', 'big.tar.gz', '--name', 'from_tar');
    expect(exported).toBeLessThan(MEMORY_MAX);
    expect(imported).toBeLessThan(IMPORT_MAX);
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { MemoryStorage } from '@foodsave-backup/storage';
import { compareTrees } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectNoScratch } from './testing/oracle.ts';
import { flip, keysBelow } from './testing/storages.ts';
import { noise, World } from './testing/world.ts';
import type { Command, ExportResult, ImportResult } from './types.ts';

const KINDS = ['database', 'files', 'config', 'vector_store'] as const;
const FORMATS = ['zip', 'tar.gz'] as const;

/** One backup of everything; no test changes its repository, but for imports under names of their own. */
let world: World;
let other: World;
beforeAll(async () => {
  world = await World.create({ kinds: KINDS, storage: new MemoryStorage() });
  for (let i = 0; i < 3; i++) await world.write(`data/files/many/${i}.bin`, noise(`many ${i}`, 700_000));
  await world.write('data/files/zażółć 🥒.txt', 'unicode\n');
  await writeFile(Buffer.concat([Buffer.from(world.join('data/files/caf')), Buffer.of(0xe9)]), 'latin 1\n');
  await symlink(Buffer.from([0x2e, 0x2f, 0xe9]), world.join('data/files/odd-link'));
  await lutimes(world.join('data/files/odd-link'), 1_700_000_000.25, 1_700_000_000.25);
  await utimes(world.join('data/files/a.txt'), 1_700_000_001, 1_700_000_001.123456);
  await chmod(world.join('data/files/a.txt'), 0o640);
  await link(world.join('data/files/many/0.bin'), world.join('data/files/other-name'));
  execFileSync('mkfifo', [world.join('data/files/pipe')]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', world.join('data/files/a.txt')]);
  world.sql('CREATE TABLE big (id INTEGER PRIMARY KEY, text TEXT)');
  world.sql(
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO big SELECT i, hex(randomblob(200)) FROM n',
  );
  await world.create('one');
  other = await World.create({ kinds: KINDS, storage: new MemoryStorage(), encryption: true });
  await other.create('first');
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const exporting = (file: string, more: Partial<Extract<Command, { command: 'export' }>> = {}): Command => ({
  command: 'export',
  name: 'one',
  format: 'zip',
  output: { file: world.join(file) },
  ...more,
});

async function packBytes(of: MemoryStorage): Promise<number> {
  let bytes = 0;
  for await (const { key, size } of of.list('')) if (key.endsWith('.pack')) bytes += size;
  return bytes;
}

describe.each(FORMATS)('%s', (format) => {
  const file = `out/one.${format}`;

  it('an export is whole, private and as a restore to a directory lays it out', async () => {
    const result = await world.must<ExportResult>(exporting(file, { format }));
    const size = (await stat(world.join(file))).size;
    expect(result).toMatchObject({ name: 'one', format, file: world.join(file), archiveBytes: size, notes: [] });
    expect((await stat(world.join(file))).mode & 0o777).toBe(0o600);
    await world.must({ command: 'restore', name: 'one', target: world.join(`restored-${format}`) });
    // As a restore makes its target.
    await mkdir(world.join(`unpacked-${format}`), { mode: 0o700 });
    const to = world.join(`unpacked-${format}`);
    if (format === 'zip') execFileSync('unzip', ['-q', world.join(file), '-d', to]);
    else execFileSync('tar', ['xzf', world.join(file), '-C', to]);
    execFileSync('sha256sum', ['--quiet', '--strict', '-c', '.foodsave-backup/SHA256SUMS'], { cwd: to });
    const differences = await compareTrees(world.join(`restored-${format}`), to);
    // What only the records hold, and the seconds of a ZIP.
    const missing = differences.filter((d) => !d.what.endsWith('mtime')).map((d) => `${d.path} ${d.what}`);
    expect(missing.sort()).toEqual(
      [
        '.foodsave-backup extra',
        'data/files/caf\\xe9 missing',
        'data/files/odd-link missing',
        'data/files/other-name hard-links',
        'data/files/pipe missing',
      ].sort(),
    );
    await expectNoScratch(world);
  });

  it('is checked by a dry run, which imports nothing', async () => {
    const command: Command = { command: 'import', file: world.join(file), dryRun: true };
    const result = await other.must<ImportResult>(command);
    expect(result).toMatchObject({
      name: 'one',
      dryRun: true,
      archive: { name: 'one', components: ['database:main', 'files', 'config', 'vector_store'] },
    });
    expect(result.checkedFiles).toBeGreaterThan(10);
    expect((await other.engine.list()).items.map((b) => b.name)).not.toContain('one');
  });

  it('imports into another repository as the backup that it was', async () => {
    const name = `imported-${format.replace('.', '-')}`;
    const { backup } = await other.must<ImportResult>({ command: 'import', file: world.join(file), name });
    const original = await world.engine.show('one');
    expect(backup).toMatchObject({
      name,
      trigger: 'import',
      status: 'complete',
      createdAt: original.createdAt,
      tags: original.tags,
    });
    for (const [instance, { facts, files, sizeBytes, type }] of Object.entries(original.components)) {
      expect(backup?.components[instance]).toMatchObject({ facts, files, sizeBytes, type });
    }
    await world.must({ command: 'restore', name: 'one', target: world.join(`original-${format}`) });
    await other.must({ command: 'restore', name, target: other.join(`imported-${format}`) });
    const differences = await compareTrees(world.join(`original-${format}`), other.join(`imported-${format}`));
    // The directory that a restore makes is nobody's.
    expect(differences.filter((d) => d.path !== '.')).toEqual([]);
    expect((await lstat(other.join(`imported-${format}/data/files/other-name`))).nlink).toBe(2);
    const note = other.join(`imported-${format}/data/files/a.txt`);
    expect(execFileSync('getfattr', ['-d', '--absolute-names', note]).toString()).toContain('user.note="kept"');
    const verified = await other.must<{ status: string }>({ command: 'verify', name, level: 'full' });
    expect(verified.status).toBe('ok');
    await expectNoScratch(other);
  });

  it('imports into its own repository for next to nothing', async () => {
    const name = `again-${format.replace('.', '-')}`;
    const { backup } = await world.must<ImportResult>({ command: 'import', file: world.join(file), name });
    expect(backup?.components['files']?.storedBytes).toBeLessThan(8000);
    expect(backup?.components['database:main']?.storedBytes).toBeLessThan(8000);
  });

  it('of some components, or one path', async () => {
    const some = `out/some.${format}`;
    const result = await world.must<ExportResult>(exporting(some, { format, components: ['config', 'database'] }));
    expect(result.files).toBe(2);
    await other.must({ command: 'import', file: world.join(some), name: `some-${format.replace('.', '-')}` });
    const part = `out/part.${format}`;
    await world.must(exporting(part, { format, paths: ['data/files/sub', 'data/files/a.txt'] }));
    const name = `part-${format.replace('.', '-')}`;
    const { backup, notes } = await other.must<ImportResult>({ command: 'import', file: world.join(part), name });
    expect(backup).toMatchObject({
      status: 'partial',
      components: { files: { files: 3, facts: { incomplete: true } } },
    });
    expect(Object.keys(backup?.components ?? {})).toEqual(['files']);
    expect(notes.join(' ')).toContain('partial');
  });
});

describe('an export', () => {
  it.each([
    ['a path that is not there', { paths: ['data/nope'] }, 'PATH_NOT_FOUND'],
    ['an unknown component', { components: ['nope'] }, 'COMPONENT_UNKNOWN'],
    ['a backup that is not there', { name: 'nope' }, 'BACKUP_NOT_FOUND'],
    ['a directory as one file', { format: 'file' as const, paths: ['data/files'] }, 'PATH_NOT_FOUND'],
  ])('of %s leaves nothing', async (_what, more, code) => {
    expect(await world.run(exporting('none/none.zip', more))).toMatchObject({ status: 'failed', error: { code } });
    expect(existsSync(world.join('none')) ? await readdir(world.join('none')) : []).toEqual([]);
  });

  it('of one file is that file', async () => {
    await world.must(exporting('out/b.bin', { format: 'file', paths: ['data/files/sub/b.bin'] }));
    expect((await readFile(world.join('out/b.bin'))).equals(noise('b', 20_000))).toBe(true);
  });

  it('never replaces a file', async () => {
    await world.write('out/there.zip', 'mine');
    expect(await world.run(exporting('out/there.zip'))).toMatchObject({ error: { code: 'TARGET_INVALID' } });
    expect(await readFile(world.join('out/there.zip'), 'utf8')).toBe('mine');
  });

  it('of an encrypted repository says that the archive is not', async () => {
    const output = { file: other.join('first.zip') };
    const { notes } = await other.must<ExportResult>({ command: 'export', name: 'first', format: 'zip', output });
    expect(notes[0]).toContain('not encrypted');
  });

  it('of a damaged backup fails, names the files and leaves nothing', async () => {
    const storage = new MemoryStorage();
    await using damaged = await World.create({ kinds: ['files'], storage });
    for (let i = 0; i < 3; i++) await damaged.write(`data/files/big/${i}`, noise(`big ${i}`, 3_000_000));
    await damaged.create('one');
    const packs = await keysBelow(storage, 'files/');
    await flip(storage, packs[0] as string, 2000);
    for (const format of FORMATS) {
      const output = { file: damaged.join(`out/one.${format}`) };
      const ended = await damaged.run({ command: 'export', name: 'one', format, output });
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'DATA_DAMAGED' } });
      expect((ended.error?.details?.['damaged'] as string[]).length).toBeGreaterThan(0);
      expect(await readdir(damaged.join('out'))).toEqual([]);
    }
  });
});

describe('an import', () => {
  it('under a name that is taken says so, and how to go on', async () => {
    await world.must(exporting('out/taken.zip'));
    const ended = await world.run({ command: 'import', file: world.join('out/taken.zip') });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'NAME_TAKEN' } });
    expect(ended.error?.hint).toContain('--name');
  });

  it('shares pages with the next backup of the database', async () => {
    const storage = new MemoryStorage();
    await using fresh = await World.create({ kinds: KINDS, storage });
    await fresh.create('empty');
    await world.must(exporting('out/pages.zip'));
    await fresh.must({ command: 'import', file: world.join('out/pages.zip') });
    const before = await packBytes(storage);
    await fresh.must({ command: 'import', file: world.join('out/pages.zip'), name: 'twice' });
    expect((await packBytes(storage)) - before).toBeLessThan(40_000);
  });

  it('of damage in the archive stores nothing', async () => {
    for (const format of FORMATS) {
      const file = world.join(`out/flipped.${format}`);
      await world.must(exporting(`out/flipped.${format}`, { format }));
      const bytes = await readFile(file);
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      await writeFile(file, bytes);
      const names = (await other.engine.list()).total;
      const ended = await other.run({ command: 'import', file, name: 'flipped' });
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'ARCHIVE_INVALID' } });
      expect((await other.engine.list()).total).toBe(names);
    }
  });
});

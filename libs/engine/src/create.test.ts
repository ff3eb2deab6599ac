import { open, readdir, readFile } from 'node:fs/promises';
import { systemClock } from '@foodsave-backup/kernel';
import { createLocalStorage, MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { expectNoScratch, expectWhole, liveFiles } from './testing/oracle.ts';
import { altered, contentsOf, keysBelow, PACK_FOLDERS } from './testing/storages.ts';
import { depsOf, keysOf, noise, SECRET, World } from './testing/world.ts';
import { Engine } from './engine.ts';
import { CHECKSUMS_OFF, type CleanupResult, type CreateResult } from './types.ts';

const create = { command: 'create', trigger: 'manual' } as const;

/** Overwrites pages of the table in the file of a closed database. */
async function corruptDatabase(world: World): Promise<void> {
  world.sql('PRAGMA wal_checkpoint(TRUNCATE)');
  const file = await open(world.join('data/app.db'), 'r+');
  await file.write(noise('corrupt', 4096 * 3), 0, 4096 * 3, 4096 * 2);
  await file.close();
}

const manyRows =
  "INSERT INTO items (name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT printf('row %d', i) FROM n";

describe('a component that fails', () => {
  it('makes the backup partial: its error is recorded, the others are kept', async () => {
    await using world = await World.create({ kinds: ['database', 'files'] });
    await world.create('good');
    await world.remove('data/app.db');
    const ended = await world.run({ ...create, name: 'half' });
    expect(ended.status).toBe('partial');
    const { backup } = ended.result as CreateResult;
    expect(backup).toMatchObject({ status: 'partial', error: { code: 'DATABASE_BACKUP_FAILED' } });
    expect(backup.components['database:main']).toMatchObject({
      status: 'failed',
      files: 0,
      error: { code: 'DATABASE_BACKUP_FAILED' },
    });
    expect(backup.components['database:main']?.error?.message).toMatch(/^Database backup failed/);
    expect(backup.components['database:main']?.error?.hint).toBeTruthy();
    expect(backup.components['files']).toMatchObject({ status: 'complete' });
    expect(ended.events.find((e) => e.type === 'component.finished' && e.component === 'database:main')).toMatchObject({
      status: 'failed',
    });
    await expectWhole(world, new Map([['half', await liveFiles(world)]]));
    const { kept } = await world.must<CleanupResult>({ command: 'cleanup', dryRun: true });
    expect(kept.find((k) => k.name === 'good')?.reasons).toContain('newest complete');
    // All of them but the failed one come back; the failed one by its name is refused.
    const asked = await world.run({
      command: 'restore',
      name: 'half',
      components: ['database'],
      target: world.join('out'),
    });
    expect(asked).toMatchObject({ status: 'failed', error: { code: 'COMPONENT_FAILED' } });
    await expectNoScratch(world);
  });

  it('records nothing when every component failed, and says why', async () => {
    await using world = await World.create({ kinds: ['database'] });
    await world.remove('data');
    const ended = await world.run({ ...create, name: 'none' });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'DATABASE_BACKUP_FAILED' } });
    expect(ended.error?.message).toMatch(/^Database backup failed/);
    expect(ended.error?.hint).toBeTruthy();
    expect((await world.engine.list()).total).toBe(0);
    const names = (await readdir(world.join('backups'), { recursive: true })).filter((name) => name.includes('none'));
    expect(names).toEqual([]);
  });

  it('a corrupt database is kept and flagged, is partial, and does not displace the last good one', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    await using world = await World.create({
      kinds: ['database'],
      clock,
      config: { retention: { daily: 1, weekly: 0, monthly: 0 } },
    });
    world.sql(manyRows);
    await world.create('good');
    const rows = world.rows();
    await corruptDatabase(world);
    await clock.advance(3_600_000);
    const ended = await world.run({ ...create, name: 'bad' });
    expect(ended.status).toBe('partial');
    const { backup } = ended.result as CreateResult;
    expect(backup).toMatchObject({
      status: 'partial',
      components: { 'database:main': { status: 'complete', facts: { corrupt: true } } },
    });
    await clock.advance(30 * 86_400_000);
    const cleaned = await world.must<CleanupResult>({ command: 'cleanup' });
    expect(cleaned.deleted.map((d) => d.name)).toEqual(['bad']);
    expect(cleaned.kept.map((k) => k.name)).toEqual(['good']);
    await world.must({ command: 'restore', name: 'good', target: world.join('out') });
    expect(world.rows(world.join('out/data/app.db'))).toBe(rows);
  });

  it('files that cannot be read make the run partial, and are listed', async () => {
    await using world = await World.create();
    await world.create('first');
    // An include path that is a link is not followed: that part of the source could not be read.
    const incomplete = world.another({
      config: {
        components: [
          {
            instance: 'files',
            type: 'files',
            driver: 'directory',
            config: { include: ['./data/files/link', './data/files/sub'] },
          },
        ],
      },
    });
    const ended = await world.run(create, { engine: incomplete });
    expect(ended.status).toBe('partial');
    const { backup } = ended.result as CreateResult;
    expect(backup.components['files']?.facts['incomplete']).toBe(true);
  });

  it('an unknown component is named, and nothing is made', async () => {
    await using world = await World.create();
    const ended = await world.run({ ...create, components: ['databse'] });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'COMPONENT_UNKNOWN' } });
    expect(ended.error?.hint).toContain('files');
    expect(await readdir(world.path)).toEqual(['data']);
    const nothing = await world.run(create, { engine: world.another({ config: { components: [] } }) });
    expect(nothing).toMatchObject({ status: 'failed', error: { code: 'CONFIG_INVALID' } });
  });
});

describe('the repository', () => {
  it('is made by the first create, which says where it is and where the key is', async () => {
    await using world = await World.create({ encryption: true, keys: keysOf(undefined) });
    const { notes, backup } = await world.create('one');
    expect(backup.status).toBe('complete');
    expect(notes.join('\n')).toContain(world.join('backups'));
    expect(notes.join('\n')).toContain('/nowhere/key');
    expect((await world.create('two')).notes).toEqual([]);
  });

  it.each([
    ['a wrong key', keysOf('another-secret-0123456789-abcdefghijkl'), 'WRONG_KEY'],
    ['no key', keysOf(undefined), 'KEY_MISSING'],
  ])('is refused with %s, and nothing is written', async (_words, keys, code) => {
    const storage = new MemoryStorage();
    await using world = await World.create({ encryption: true, storage });
    await world.create('one');
    const before = await contentsOf(storage);
    const engine = world.another({ keys });
    for (const command of [
      create,
      { command: 'cleanup' },
      { command: 'verify', name: 'one', level: 'full' },
    ] as const) {
      expect(await world.run(command, { engine })).toMatchObject({ status: 'failed', error: { code } });
    }
    expect(await contentsOf(storage)).toEqual(before);
    await expect(engine.list()).rejects.toMatchObject({ code });
  });

  it('without encryption refuses a key that someone named, and ignores a key file that lies about', async () => {
    await using world = await World.create({ storage: new MemoryStorage() });
    await world.create('one');
    const named = await world.run(create, { engine: world.another({ keys: keysOf(SECRET, true) }) });
    expect(named).toMatchObject({ status: 'failed', error: { code: 'CONFIG_INVALID' } });
    await world.must({ ...create, name: 'two' }, world.another({ keys: keysOf(SECRET) }));
    const storage = new MemoryStorage();
    const fresh = await world.run(
      { ...create, encryption: false },
      { engine: world.another({ storage, keys: keysOf(SECRET, true) }) },
    );
    expect(fresh).toMatchObject({ status: 'failed', error: { code: 'CONFIG_INVALID' } });
    expect(await keysBelow(storage, '')).toEqual([]);
  });

  it('of a newer format is refused by every command, and left as it is', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('one');
    for (const key of ['repository.json', 'manifests/repository.json']) {
      const text = Buffer.from(await storage.get(key)).toString('utf8');
      await storage.put(key, Buffer.from(text.replace(/("version": *)\d+/, '$199').replace('sha256:', 'sha3:')));
    }
    const before = await contentsOf(storage);
    const engine = world.another();
    for (const command of [
      create,
      { command: 'cleanup' },
      { command: 'restore', name: 'one', target: world.join('x') },
    ] as const) {
      expect(await world.run(command, { engine })).toMatchObject({
        status: 'failed',
        error: { code: 'FORMAT_TOO_NEW' },
      });
    }
    expect(await contentsOf(storage)).toEqual(before);
  });

  it.each([
    ['a file', 'holiday.jpg'],
    ['only a directory', 'photos/holiday.jpg'],
    ['a hidden file', '.git'],
  ])('is never made in a foreign directory that holds %s', async (_words, path) => {
    await using world = await World.create({ encryption: true, keys: keysOf(undefined) });
    await world.write(`backups/${path}`, 'mine');
    const before = await readdir(world.join('backups'), { recursive: true });
    for (const command of [create, { command: 'init' }] as const) {
      const ended = await world.run(command);
      expect(ended.status).toBe('failed');
      expect(['REPOSITORY_NOT_FOUND', 'REPOSITORY_EXISTS']).toContain(ended.error?.code);
      expect(ended.error?.hint).toContain('Nothing was');
    }
    expect(await readdir(world.join('backups'), { recursive: true })).toEqual(before);
  });

  it('is not made by any other command', async () => {
    await using world = await World.create();
    const commands = [
      { command: 'verify', name: 'x', level: 'quick' },
      { command: 'restore', name: 'x' },
      { command: 'check', readData: false },
      { command: 'cleanup' },
      { command: 'delete', name: 'x' },
      { command: 'undo' },
    ] as const;
    for (const command of commands) {
      expect(await world.run(command)).toMatchObject({ status: 'failed', error: { code: 'REPOSITORY_NOT_FOUND' } });
    }
    expect(await readdir(world.path)).toEqual(['data']);
  });
});

describe('what create verifies', () => {
  it('bytes that read back differently: no backup, no bad pack, and the next one works', async () => {
    const disk = new MemoryStorage();
    await using world = await World.create({ storage: disk });
    await world.create('old');
    const expected = new Map([['old', await liveFiles(world)]]);
    const packs = await Promise.all(PACK_FOLDERS.map((folder) => keysBelow(disk, folder)));
    await world.write('data/files/new.bin', noise('new', 9000));
    const failing = altered(disk, {
      get: async (key, range, options) => {
        const bytes = Buffer.from(await disk.get(key, range, options));
        if (key.startsWith('files/') && !packs.flat().includes(key)) bytes[bytes.length >> 1]! ^= 1;
        return bytes;
      },
    });
    const ended = await world.run({ ...create, name: 'new' }, { engine: world.another({ storage: failing }) });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'VERIFICATION_FAILED' } });
    expect(ended.error?.message).toMatch(/^Verification failed/);
    expect(await keysBelow(disk, 'files/')).toEqual(packs[1]);
    expect(await keysBelow(disk, 'locks/')).toEqual([]);
    expect((await keysBelow(disk, '')).filter((key) => key.startsWith('new'))).toEqual([]);
    await expectWhole(world, expected);
    await world.create('new');
    await expectWhole(world, expected.set('new', await liveFiles(world)));
  });

  it('says so where it did not look: not asked for, or checksums off', async () => {
    await using world = await World.create({ storage: new MemoryStorage() });
    expect((await world.create('a')).backup.verification).toMatchObject({ level: 'new', status: 'ok' });
    const skipped = await world.must({ ...create, name: 'b', verify: false });
    expect(skipped.backup.verification).toEqual({ level: 'none', status: 'none' });
    const off = world.another({ config: { checksums: false } });
    const unchecked = await world.must({ ...create, name: 'c' }, off);
    expect(unchecked.backup.verification).toEqual({ level: 'none', status: 'none' });
    expect(unchecked.notes.join()).toContain(CHECKSUMS_OFF);
  });

  it('a pack that has vanished is warned of, and what it held is stored again', async () => {
    const disk = new MemoryStorage();
    await using world = await World.create({ storage: disk });
    await world.create('one');
    const [pack] = await keysBelow(disk, 'files/');
    await disk.delete(pack ?? '');
    const ended = await world.run({ ...create, name: 'two' }, { engine: world.another() });
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'PACK_MISSING' }));
    expect((ended.result as CreateResult).notes.join()).toContain(pack);
    expect(await world.run({ command: 'verify', name: 'two', level: 'full' })).toMatchObject({ status: 'succeeded' });
    expect((await world.engine.show('two')).verification).toMatchObject({ level: 'full', status: 'ok' });
  });
});

describe('a create that is cancelled', () => {
  it.each(['component.started', 'component.finished', 'progress'])(
    'at %s records nothing and leaves nothing',
    async (moment) => {
      await using world = await World.create({ kinds: ['database', 'files'] });
      await world.create('old');
      const engine = world.another();
      const ended = await world.run(
        { ...create, name: 'new' },
        {
          engine,
          during: (run, event) => {
            if (event.type === moment) run.cancel('the operator changed their mind');
          },
        },
      );
      expect(ended).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
      expect((await world.engine.list()).items.map((b) => b.name)).toEqual(['old']);
      await expectNoScratch(world);
      expect(await readdir(world.join('backups/locks'))).toEqual([]);
      expect(await world.run({ ...create, name: 'new' }, { engine })).toMatchObject({ status: 'succeeded' });
      await expectWhole(world, new Map([['new', await liveFiles(world)]]), world.another());
    },
  );
});

describe('incremental', () => {
  it('stores next to nothing for an unchanged application, and only what changed of a changed one', async () => {
    const storage = createLocalStorage('/nonexistent');
    await storage.close();
    const disk = new MemoryStorage();
    // What changed within two seconds before a capture is stored without change time and read again (RACY_NS): the data
    // of this test are an hour old, so that it does not matter how long the first backup takes.
    const clock = { ...systemClock, now: () => Date.now() + 3_600_000 };
    await using world = await World.create({ storage: disk, encryption: true, clock });
    const first = await world.create('one');
    const again = await world.create('two');
    expect(first.backup.storedBytes).toBeGreaterThan(20_000);
    expect(again.backup.storedBytes).toBe(0);
    expect(again.backup.sizeBytes).toBe(first.backup.sizeBytes);
    await world.write('data/files/small.txt', 'something new\n');
    const { storedBytes } = (await world.create('three')).backup;
    expect(storedBytes).toBeGreaterThan(0);
    expect(storedBytes).toBeLessThan(2000);
    const names = Object.keys(await contentsOf(disk)).join('\n');
    const all = Object.values(await contentsOf(disk)).join('');
    for (const secret of ['small.txt', 'something new', 'b.bin', SECRET]) expect(names + all).not.toContain(secret);
    expect(await readFile(world.join('data/files/small.txt'), 'utf8')).toBe('something new\n');
  });

  it('a database that nobody wrote to is not read again, and what is backed up so is whole', async () => {
    const clock = { ...systemClock, now: () => Date.now() + 3_600_000 };
    await using world = await World.create({ kinds: ['database', 'files'], clock });
    const { backup: first } = await world.create('one');
    const { backup: again } = await world.create('two');
    expect(again).toMatchObject({ storedBytes: 0, sizeBytes: first.sizeBytes });
    const facts = async (name: string): Promise<object | undefined> =>
      (await world.engine.show(name)).components['database:main']?.facts;
    const { capturedAt } = (await facts('one')) as { capturedAt: string };
    expect(await facts('two')).toMatchObject({ captureMethod: 'unchanged', unchangedSince: capturedAt });
    await world.must({ command: 'delete', name: 'one' });
    const rows = world.rows();
    world.sql("INSERT INTO items (name) VALUES ('salt')");
    await world.create('three');
    expect(await facts('three')).not.toMatchObject({ captureMethod: 'unchanged' });
    for (const name of ['two', 'three']) {
      expect(await world.must({ command: 'verify', name, level: 'full' })).toMatchObject({ status: 'ok' });
      await world.must({ command: 'restore', name, target: world.join(`restored-${name}`) });
    }
    expect(world.rows(world.join('restored-two/data/app.db'))).toBe(rows);
    expect(world.rows(world.join('restored-three/data/app.db'))).toBe(world.rows());
  });

  it('refuses to begin without room, with the number of bytes', async () => {
    await using world = await World.create({ freeBytes: async () => 4096 });
    const ended = await world.run(create);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'NO_SPACE' } });
    expect(ended.error?.message).toContain('4096');
  });

  it('an unknown driver is a mistake of the configuration', async () => {
    await using world = await World.create();
    const deps = depsOf(world.path, ['files'], false);
    const components = [{ instance: 'files', type: 'files', driver: 'zfs', config: {} }];
    const engine = new Engine({ ...deps, config: { ...deps.config, components } });
    const ended = await world.run(create, { engine });
    expect(ended).toMatchObject({ status: 'failed' });
    expect(ended.error?.message).toContain('unknown driver "zfs"');
    expect((await world.engine.list().catch(() => ({ total: 0 }))).total).toBe(0);
  });
});

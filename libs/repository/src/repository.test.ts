import { encodeManifest } from '@foodsave-backup/format';
import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage, withFaults } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { checkRepository, Repository, type Manifest } from './index.ts';
import {
  backUp,
  differences,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  SECRET,
  type Files,
} from './testing/backups.ts';

const FILES: Files = { a: noise(100, 1) };
const codeOf = (error: string): { code: string } => ({ code: error });
const open = (storage: MemoryStorage, secret?: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

describe('a repository', () => {
  it('is made in an empty place only, and never twice', async () => {
    const storage = new MemoryStorage();
    expect(await Repository.probe(storage)).toBe('empty');
    await expect(open(storage)).rejects.toMatchObject(codeOf('REPOSITORY_NOT_FOUND'));
    await makeRepository({ storage });
    expect(await Repository.probe(storage)).toBe('repository');
    await expect(makeRepository({ storage })).rejects.toMatchObject(codeOf('REPOSITORY_EXISTS'));
    const foreign = new MemoryStorage();
    await foreign.put('thesis.doc', Buffer.from('x'));
    expect(await Repository.probe(foreign)).toBe('foreign');
    await expect(makeRepository({ storage: foreign })).rejects.toMatchObject(codeOf('REPOSITORY_EXISTS'));
    expect(await keysOf(foreign)).toEqual(['thesis.doc']);
  });

  it('is made by only one of two at once', async () => {
    const storage = new MemoryStorage();
    const made = await Promise.allSettled([makeRepository({ storage }), makeRepository({ storage })]);
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const winner = made.find((result) => result.status === 'fulfilled');
    expect((await open(storage)).info.id).toBe(winner?.value.info.id);
  });

  it('opens with its secret and with no other', async () => {
    const storage = new MemoryStorage();
    const made = await makeRepository({ storage, secret: SECRET });
    expect((await open(storage, ` ${SECRET}\n`)).keys.manifestKey).toEqual(made.keys.manifestKey);
    await expect(open(storage, 'fsbk1-' + 'b'.repeat(52))).rejects.toMatchObject(codeOf('WRONG_KEY'));
    await expect(open(storage)).rejects.toMatchObject(codeOf('KEY_MISSING'));
    const [key = ''] = await keysOf(storage, 'keys/');
    await storage.put(key, Buffer.from('damaged'));
    expect((await checkRepository(made, { readData: false })).damaged.map(({ what }) => what)).toEqual([key]);
    await expect(open(storage, SECRET)).rejects.toMatchObject(codeOf('REPOSITORY_DAMAGED'));
    await storage.delete(key);
    await expect(open(storage, SECRET)).rejects.toMatchObject(codeOf('REPOSITORY_DAMAGED'));
  });

  it('is opened by whoever has looked at it without another look, and lets something else be done for each key', async () => {
    const storage = new MemoryStorage();
    await makeRepository({ storage, secret: SECRET });
    const info = await Repository.readInfo(storage);
    const reads: string[] = [];
    const get = storage.get.bind(storage);
    storage.get = (key, ...rest) => {
      reads.push(key);
      return get(key, ...rest);
    };
    const options = { clock: makeClock(), secret: SECRET, info, meanwhile: () => reads.push('meanwhile') };
    const opened = await Repository.open(storage, options);
    expect(opened.info).toEqual(info);
    expect(reads).toEqual([...(await keysOf(storage, 'keys/')), 'meanwhile']);
  });

  it('does not take a secret for nothing', async () => {
    const storage = new MemoryStorage();
    await makeRepository({ storage });
    await expect(open(storage, SECRET)).rejects.toMatchObject(codeOf('CONFIG_INVALID'));
  });

  it('shows no secret in any error, key or object', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    await backUp(repository, 'first', FILES);
    for (const key of await keysOf(storage))
      expect(Buffer.from(await storage.get(key)).includes(SECRET.slice(6))).toBe(false);
    const error = await open(storage, 'another secret').catch((e: unknown) => JSON.stringify(e));
    expect(error).not.toContain('another secret');
  });

  it('tells a medium that cannot be read from one that is damaged', async () => {
    const storage = new MemoryStorage();
    await makeRepository({ storage });
    const faulty = withFaults(storage, { at: 1, mode: 'from', operations: ['get'] });
    await expect(Repository.open(faulty, { clock: makeClock(), secret: undefined })).rejects.toMatchObject(
      codeOf('IO_ERROR'),
    );
    for (const key of ['repository.json', 'manifests/repository.json']) await storage.put(key, Buffer.from('x'));
    await expect(open(storage)).rejects.toMatchObject(codeOf('REPOSITORY_DAMAGED'));
  });
});

describe('manifests', () => {
  const published = async (repository: Repository, name: string): Promise<Manifest> => {
    const { manifest } = await backUp(repository, name, FILES);
    return manifest;
  };

  it('are listed newest first, and found by their exact name', async () => {
    const repository = await makeRepository({ secret: SECRET });
    for (const name of ['one', 'Two', 'three']) await published(repository, name);
    expect((await repository.manifests.list()).manifests.map(({ name }) => name)).toEqual(['three', 'Two', 'one']);
    expect((await repository.manifests.get('Two')).name).toBe('Two');
    await expect(repository.manifests.get('two')).rejects.toMatchObject({
      ...codeOf('BACKUP_NOT_FOUND'),
      hint: 'Did you mean "Two"?',
    });
    await expect(repository.manifests.get('four')).rejects.toMatchObject(codeOf('BACKUP_NOT_FOUND'));
  });

  it('never replace another, in whatever case it is written', async () => {
    const repository = await makeRepository();
    const manifest = await published(repository, 'Nightly');
    for (const name of ['nightly', 'NIGHTLY', 'Nightly']) {
      await expect(repository.manifests.assertFree(name)).rejects.toMatchObject(codeOf('NAME_TAKEN'));
    }
    await repository.manifests.assertFree('nightly2');
    const before = await repository.storage.get('Nightly.json');
    await expect(repository.manifests.publish({ ...manifest, id: 'other' })).rejects.toMatchObject(
      codeOf('NAME_TAKEN'),
    );
    expect(await repository.storage.get('Nightly.json')).toEqual(before);
  });

  it.each([
    'repository',
    'Manifests',
    'locks.json',
    'con',
    'NUL.txt',
    'a/b',
    '../x',
    '.hidden',
    '',
    'x'.repeat(101),
    'ä',
    'a b',
  ])('are never called %j', async (name) => {
    const repository = await makeRepository();
    await expect(repository.manifests.assertFree(name)).rejects.toMatchObject(codeOf('NAME_INVALID'));
    await expect(repository.manifests.get(name)).rejects.toMatchObject(codeOf('NAME_INVALID'));
  });

  it('are published when the answer to the first attempt was lost', async () => {
    const repository = await makeRepository();
    const manifest = await published(repository, 'first');
    await repository.manifests.delete('first');
    let lost = true;
    const put = repository.storage.put.bind(repository.storage);
    repository.storage.put = async (...args) => {
      const result = await put(...args);
      if (!lost) return result;
      lost = false;
      return put(...args);
    };
    await repository.manifests.confirm('first', await repository.manifests.publish(manifest));
    expect(await differences(repository, 'first', FILES)).toEqual([]);
  });

  it('count from their second copy on', async () => {
    const repository = await makeRepository();
    await published(repository, 'first');
    await repository.storage.delete('manifests/first.json');
    expect(await repository.manifests.list()).toMatchObject({
      manifests: [],
      unconfirmed: [{ name: 'first' }],
      damaged: [],
      repairable: [],
    });
    await expect(repository.manifests.get('first')).rejects.toMatchObject(codeOf('BACKUP_NOT_FOUND'));
    await expect(repository.manifests.assertFree('FIRST')).rejects.toMatchObject(codeOf('NAME_TAKEN'));
    expect((await checkRepository(repository, { readData: true })).unconfirmed).toEqual(['first']);
    await repository.manifests.confirm('first');
    expect(await differences(repository, 'first', FILES)).toEqual([]);
  });

  it('are read from either copy, and the first is restored from the second', async () => {
    const repository = await makeRepository();
    await published(repository, 'first');
    const good = await repository.storage.get('first.json');
    await repository.storage.delete('first.json');
    expect(await repository.manifests.list()).toMatchObject({
      manifests: [{ name: 'first' }],
      repairable: [{ name: 'first' }],
    });
    expect((await checkRepository(repository, { readData: false })).damaged).toMatchObject([
      { kind: 'manifest', backup: 'first' },
    ]);
    await repository.manifests.restoreFirst('first');
    expect(await repository.storage.get('first.json')).toEqual(good);
    expect((await checkRepository(repository, { readData: true })).status).toBe('ok');
  });

  it('are named when both copies are damaged, and the others stay', async () => {
    const repository = await makeRepository();
    await published(repository, 'first');
    await published(repository, 'second');
    for (const key of ['first.json', 'manifests/first.json']) await repository.storage.put(key, Buffer.from('{'));
    expect(await repository.manifests.list()).toMatchObject({
      manifests: [{ name: 'second' }],
      damaged: [{ name: 'first' }],
    });
    await expect(repository.manifests.get('first')).rejects.toMatchObject(codeOf('MANIFEST_DAMAGED'));
    await expect(repository.manifests.restoreFirst('first')).rejects.toMatchObject(codeOf('DATA_DAMAGED'));
  });

  it('are damaged under another name', async () => {
    const repository = await makeRepository();
    const manifest = await published(repository, 'first');
    for (const prefix of ['', 'manifests/'])
      await repository.storage.put(`${prefix}other.json`, encodeManifest(repository.keys, manifest, Buffer.alloc(32)));
    expect((await repository.manifests.list()).damaged).toMatchObject([{ name: 'other' }]);
  });

  it('delete their second copy first', async () => {
    const storage = new MemoryStorage();
    await backUp(await makeRepository({ storage }), 'first', FILES);
    const crash = new CrashStorage({ from: storage, crashAt: 2 });
    const repository = await Repository.open(crash, { clock: makeClock(), secret: undefined });
    await expect(repository.manifests.delete('first')).rejects.toBeInstanceOf(BackupError);
    expect((await (await open(crash.survivors())).manifests.list()).unconfirmed).toHaveLength(1);
  });
});

describe('notes', () => {
  it('are kept in the order in which they were made, and deleted by key', async () => {
    const repository = await makeRepository({ secret: SECRET });
    const note = { type: 'verification', at: 't', backup: 'b', name: 'n', level: 'quick', status: 'ok' } as const;
    for (let i = 0; i < 5; i++) {
      await repository.clock.sleep(10);
      await repository.notes.add({ ...note, checkedBytes: i });
    }
    const all = await repository.notes.list();
    expect(all.map((stored) => stored.note)).toMatchObject([0, 1, 2, 3, 4].map((n) => ({ checkedBytes: n })));
    await repository.notes.delete(all.slice(0, 3).map(({ key }) => key));
    const left = (await repository.notes.list()).map((stored) => stored.note);
    expect(left).toMatchObject([{ checkedBytes: 3 }, { checkedBytes: 4 }]);
    for (const key of await keysOf(repository.storage, 'notes/')) {
      expect(Buffer.from(await repository.storage.get(key)).includes('verification')).toBe(false);
    }
  });

  it('of an unknown type or without a backup are ignored', async () => {
    const repository = await makeRepository();
    const strange = [{ type: 'poem' }, { type: 'verification' }, { type: 'hold', backup: 'b' }, null, 5];
    for (const note of strange) await repository.notes.add(note as never);
    expect(await repository.notes.scan()).toEqual({ notes: [], unreadable: [], condemned: [] });
  });

  it('that cannot be read are told, and read as soon as they can be', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    const note = { type: 'hold', at: 't', backup: 'b', name: 'n', on: true } as const;
    const key = await repository.notes.add(note);
    const good = await storage.get(key);
    await storage.put(key, good.subarray(1));
    expect(await repository.notes.scan()).toEqual({ notes: [], unreadable: [key], condemned: [] });
    await storage.put(key, good);
    expect(await repository.notes.scan()).toEqual({ notes: [{ key, note }], unreadable: [], condemned: [] });
  });
});

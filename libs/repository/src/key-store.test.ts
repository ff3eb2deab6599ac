import { MemoryStorage, type StorageBackend } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { Repository } from './index.ts';
import { backUp, keysOf, makeClock, makeRepository, SECRET } from './testing/backups.ts';

const OTHER = `fsbk1-${'b'.repeat(52)}`;
const FILES = { 'a.txt': Buffer.from('hello\n') };

const open = (storage: StorageBackend, secret: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

describe('keys', () => {
  it('are added beside others, and each opens the same backups', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    await backUp(repository, 'first', FILES);
    const before = await keysOf(storage, 'keys/');
    const added = await repository.keyStore.add(OTHER, 'office safe');
    expect(await keysOf(storage, 'keys/')).toEqual([...before, `keys/${added.id}.json`].sort());
    for (const [secret, opens] of [
      [SECRET, [true, false]],
      [OTHER, [false, true]],
      ['neither', [false, false]],
    ] as const) {
      const keys = await repository.keyStore.list(secret);
      expect(keys.map((key) => key.label)).toEqual(['test', 'office safe']);
      expect(keys.map((key) => key.opens)).toEqual(opens);
    }
    const other = await open(storage, OTHER);
    expect((await other.manifests.list()).manifests.map(({ name }) => name)).toEqual(['first']);
    await expect(repository.keyStore.add(` ${OTHER}\n`, 'again')).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    for (const key of await keysOf(storage, 'keys/')) {
      expect(Buffer.from(await storage.get(key)).includes(OTHER)).toBe(false);
    }
  });

  it.each(['', ' ', 'two\nlines', 'x'.repeat(101)])('do not take the label %j', async (label) => {
    const repository = await makeRepository({ secret: SECRET });
    await expect(repository.keyStore.add(OTHER, label)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await repository.keyStore.list(SECRET)).toHaveLength(1);
  });

  it('are removed, but not the last, not the one in use unasked, and not one that is unknown', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    const [first] = await repository.keyStore.list(SECRET);
    const id = first?.id ?? '';
    const refused = (key: string, secret: string, confirmed: boolean, code: string) =>
      expect(repository.keyStore.remove(key, secret, confirmed)).rejects.toMatchObject({ code });
    await refused('nonsense', SECRET, true, 'VALIDATION_FAILED');
    await refused(id, SECRET, true, 'VALIDATION_FAILED');
    await repository.keyStore.add(OTHER, 'second');
    await refused(id, SECRET, false, 'CONFIRMATION_REQUIRED');
    expect(await repository.keyStore.remove(id, SECRET, true)).toMatchObject({ id, opens: true });
    await expect(open(storage, SECRET)).rejects.toMatchObject({ code: 'WRONG_KEY' });
    await open(storage, OTHER);
  });

  it('that are damaged do not count as another one, and copies under other names go too', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    const second = await repository.keyStore.add(OTHER, 'second');
    const object = `keys/${second.id}.json`;
    const good = await storage.get(object);
    await storage.put(object, good.subarray(0, 40));
    const [first, broken] = (await repository.keyStore.list(SECRET)).sort((a) => (a.opens ? -1 : 1));
    expect(broken).toMatchObject({ id: second.id, opens: false, damaged: expect.any(String) as string });
    await expect(repository.keyStore.remove(first?.id ?? '', SECRET, true)).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    await storage.put('keys/copy.json', good);
    const whole = (await repository.keyStore.list(OTHER)).find((key) => key.id === second.id);
    expect(whole).toMatchObject({ opens: true, label: 'second' });
    await repository.keyStore.remove(second.id, SECRET, false);
    expect(await keysOf(storage, 'keys/')).toEqual([`keys/${first?.id ?? ''}.json`]);
  });
});

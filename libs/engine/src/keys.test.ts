import { createHash } from 'node:crypto';
import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { keysBelow } from './testing/storages.ts';
import { depsOf, keysOf, World } from './testing/world.ts';

// Generated ones cost least to derive.
const SECRET = `fsbk1-${'a'.repeat(52)}`;
const SECOND = `fsbk1-${'b'.repeat(52)}`;
const keys = keysOf(SECRET);
const given = (secret: string) => async (): Promise<string> => secret;

describe('keys', () => {
  it('are added, open the repository, and are taken away again', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage, encryption: true, keys });
    await world.create('one');
    const added = await world.engine.keys.add({ label: 'safe', secret: given(SECOND) });
    const listed = await world.engine.keys.list();
    expect(listed.encrypted).toBe(true);
    expect(listed.keys.map(({ label, opens }) => [label, opens]).sort()).toEqual([
      ['first key', true],
      ['safe', false],
    ]);
    const other = world.another({ keys: keysOf(SECOND, true) });
    expect((await other.show('one')).status).toBe('complete');
    expect((await other.keys.list()).keys.find(({ id }) => id === added.id)?.opens).toBe(true);

    const own = listed.keys.find(({ opens }) => opens)?.id ?? '';
    const unasked = world.engine.keys.remove(own, { confirmed: false });
    await expect(unasked).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
    await world.engine.keys.remove(own, { confirmed: true });
    await expect(world.engine.list()).rejects.toMatchObject({ code: 'WRONG_KEY' });
    const last = other.keys.remove(added.id, { confirmed: true });
    await expect(last).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect((await other.list()).total).toBe(1);
  });

  it('that another process takes away stop opening the repository at once', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage, encryption: true, keys });
    await world.create('one');
    await world.engine.keys.add({ label: 'second', secret: given(SECOND) });
    expect((await world.engine.list()).total).toBe(1);
    const own = (await world.engine.keys.list()).keys.find(({ opens }) => opens)?.id ?? '';
    const elsewhere = world.another({ keys: keysOf(SECOND, true) });
    await elsewhere.keys.remove(own, { confirmed: false });
    await expect(world.engine.list()).rejects.toMatchObject({ code: 'WRONG_KEY' });
    expect((await world.run({ command: 'create', trigger: 'manual' })).error?.code).toBe('WRONG_KEY');
  });

  it('of two who each remove the other at once, one stays', async () => {
    await using world = await World.create({ storage: new MemoryStorage(), encryption: true, keys });
    await world.create('one');
    const { id } = await world.engine.keys.add({ label: 'second', secret: given(SECOND) });
    const other = world.another({ keys: keysOf(SECOND, true) });
    const own = (await world.engine.keys.list()).keys.find(({ opens }) => opens)?.id ?? '';
    await Promise.allSettled([
      world.engine.keys.remove(id, { confirmed: true }),
      other.keys.remove(own, { confirmed: true }),
    ]);
    const left = await Promise.allSettled([world.another().list(), world.another({ keys: keysOf(SECOND) }).list()]);
    expect(left.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1);
  });

  it('make no secret before the repository is ready for it, and leave nothing behind', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('plain');
    let asked = false;
    const secret = async (): Promise<string> => {
      asked = true;
      return SECOND;
    };
    const refused = world.engine.keys.add({ label: 'x', secret });
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(asked).toBe(false);
    expect(await world.engine.keys.list()).toEqual({ encrypted: false, keys: [] });
    await expect(world.engine.keys.export()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await keysBelow(storage, 'locks/')).toEqual([]);
  });

  it('are exported as a sheet with all that a restore needs', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage, encryption: true, keys });
    await world.create('one');
    expect(await world.engine.keys.export()).not.toHaveProperty('recoverSha256');
    const reader = Buffer.from('// reader\n');
    await storage.put('recover.mjs', reader);
    const { text, ...facts } = await world.engine.keys.export();
    const sum = createHash('sha256').update(reader).digest('hex');
    expect(facts).toMatchObject({ application: 'test', location: storage.location, recoverSha256: sum });
    expect(JSON.stringify(facts)).not.toContain(SECRET);
    for (const part of [SECRET, sum, facts.repository, facts.location, facts.keyId, 'node recover.mjs restore NAME']) {
      expect(text).toContain(part);
    }
    expect(text.split('\n').every((line) => line.length <= 120)).toBe(true);
    expect(text).not.toContain('NOT the recover.mjs');
    const other = Buffer.from('// another reader\n');
    const recoveryFiles = async () => ({ 'recover.mjs': other });
    const engine = new Engine({ ...depsOf(world.path, world.kinds, true, { storage, keys }), recoveryFiles });
    expect((await engine.keys.export()).text).toContain('NOT the recover.mjs of this software');
  });
});

describe('unlock', () => {
  it('clears what a dead process left, without the key', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage, encryption: true, keys });
    await expect(world.engine.unlock()).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    await world.create('one');
    await storage.put('locks/left.json', Buffer.from('{}'));
    const keyless = world.another({ keys: keysOf(undefined) });
    expect(await keyless.leases()).toMatchObject([{ id: 'left', state: 'malformed' }]);
    expect(await keyless.unlock()).toMatchObject({ removed: [{ id: 'left' }], kept: [] });
    expect(await keysBelow(storage, 'locks/')).toEqual([]);
  });
});

import type { StorageBackend } from '@foodsave-backup/storage';
import { MemoryStorage } from '@foodsave-backup/storage';
import { storageConformance } from '@foodsave-backup/storage/conformance';
import { describe, expect, it } from 'vitest';
import { CrashStorage } from './index.ts';

storageConformance('crash storage with power', () => Promise.resolve({ backend: new CrashStorage() }));

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Four mutations and some reads between them. */
async function program(backend: StorageBackend): Promise<void> {
  await backend.put('a', bytes('1'));
  await backend.get('a');
  await backend.put('b', bytes('2'), { ifAbsent: true });
  await backend.put('a', bytes('3'));
  await backend.stat('a');
  await backend.delete('b');
}

async function contents(backend: StorageBackend): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key } of backend.list('')) found[key] = Buffer.from(await backend.get(key)).toString();
  return found;
}

const STATES = [{}, { a: '1' }, { a: '1', b: '2' }, { a: '3', b: '2' }, { a: '3' }];

describe('CrashStorage', () => {
  it.each(['lost', 'done'] as const)('leaves the state before or after each mutation (%s)', async (outcome) => {
    const whole = new CrashStorage();
    await program(whole);
    expect(whole.mutations).toBe(4);
    for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
      const storage = new CrashStorage({ crashAt, outcome });
      await expect(program(storage)).rejects.toMatchObject({ details: { crashed: true } });
      expect(storage.crashed).toBe(true);
      expect(await contents(storage.survivors())).toEqual(STATES[outcome === 'lost' ? crashAt - 1 : crashAt]);
    }
  });

  it('answers nothing any more without power', async () => {
    const storage = new CrashStorage();
    await storage.put('a', bytes('1'));
    storage.crash();
    const gone = { code: 'IO_ERROR', details: { crashed: true } };
    await expect(storage.put('b', bytes('2'))).rejects.toMatchObject(gone);
    await expect(storage.get('a')).rejects.toMatchObject(gone);
    await expect(storage.stat('a')).rejects.toMatchObject(gone);
    await expect(storage.delete('a')).rejects.toMatchObject(gone);
    await expect(contents(storage)).rejects.toMatchObject(gone);
    expect(await contents(storage.survivors())).toEqual({ a: '1' });
  });

  it('starts from a copy and gives copies', async () => {
    const before = new MemoryStorage();
    await before.put('a', bytes('1'));
    const storage = new CrashStorage({ from: before });
    await storage.put('a', bytes('2'));
    const after = storage.survivors();
    await after.put('a', bytes('3'));
    expect([await contents(before), await contents(storage), await contents(after)]).toEqual([
      { a: '1' },
      { a: '2' },
      { a: '3' },
    ]);
  });

  it('acknowledges nothing that was in flight beside the crash', async () => {
    const storage = new CrashStorage({ crashAt: 2 });
    const results = await Promise.allSettled([storage.put('a', bytes('1')), storage.put('b', bytes('2'))]);
    expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected']);
    await storage.survivors().get('a');
  });
});

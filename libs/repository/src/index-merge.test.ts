import { MemoryStorage } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { mergeIndex, selectMerge } from './index-merge.ts';
import { checkRepository, NO_LEASE, Repository } from './index.ts';
import { backUp, differences, keysOf, makeClock, makeRepository, noise, type Files } from './testing/backups.ts';

const BACKUPS = 17;
const filesOf = (i: number): Files => ({ always: noise(3000, 1), [`only-${i}`]: noise(500, 10 + i) });
const nameOf = (i: number): string => `backup-${i}`;

async function many(): Promise<{ storage: MemoryStorage; repository: Repository }> {
  const storage = new MemoryStorage();
  const repository = await makeRepository({ storage });
  for (let i = 0; i < BACKUPS; i++) await backUp(repository, nameOf(i), filesOf(i));
  return { storage, repository };
}

async function expectWhole(storage: MemoryStorage): Promise<void> {
  const repository = await Repository.open(storage, { clock: makeClock(), secret: undefined });
  expect(await checkRepository(repository, { readData: true })).toMatchObject({ status: 'ok', backups: BACKUPS });
  for (const i of [0, BACKUPS - 1]) expect(await differences(repository, nameOf(i), filesOf(i))).toEqual([]);
}

describe('which index files become one', () => {
  const files = (sizes: number[]): { key: string; size: number }[] => sizes.map((size, i) => ({ key: `k${i}`, size }));

  it('none while there are few, all small ones when there are sixteen, and no large one', () => {
    expect(selectMerge(files(new Array<number>(15).fill(700)))).toEqual([]);
    expect(selectMerge(files([...new Array<number>(16).fill(700), 100_000]))).toHaveLength(16);
    expect(selectMerge(files(new Array<number>(40).fill(2_000_000)))).toEqual([]);
  });

  it('leaves few files beside ten thousand backups, and writes each entry a few times', () => {
    let present: { key: string; size: number }[] = [];
    let written = 0;
    let most = 0;
    for (let i = 0; i < 10_000; i++) {
      present.push({ key: `b${i}`, size: 700 });
      const merged = new Set(selectMerge(present));
      if (merged.size > 0) {
        const size = present.reduce((sum, file) => sum + (merged.has(file.key) ? file.size : 0), 0);
        present = [...present.filter(({ key }) => !merged.has(key)), { key: `m${i}`, size }];
        written += size;
      }
      most = Math.max(most, present.length);
    }
    expect(most).toBeLessThan(80);
    expect(written).toBeLessThan(6 * 10_000 * 700);
  });
});

describe('a merge of index files', () => {
  it('says what the files said, in one', async () => {
    const { storage, repository } = await many();
    expect(await keysOf(storage, 'index/')).toHaveLength(BACKUPS);
    await mergeIndex(repository, NO_LEASE);
    expect(await keysOf(storage, 'index/')).toHaveLength(1);
    expect(await keysOf(storage, 'locks/')).toEqual([]);
    await expectWhole(storage);
  });

  it.each(['cleanup', 'delete', 'settle'])(
    'does nothing beside "%s", which may write the index anew',
    async (purpose) => {
      const { storage, repository } = await many();
      const lease = await repository.leases.acquire({ purpose, exclusive: false, waitMs: 0 });
      await mergeIndex(repository, NO_LEASE);
      expect(await keysOf(storage, 'index/')).toHaveLength(BACKUPS);
      await lease.release();
    },
  );

  it('leaves out a file that is damaged, which stays to be found', async () => {
    const { storage, repository } = await many();
    const [damaged = ''] = await keysOf(storage, 'index/');
    await storage.put(damaged, Buffer.from('damaged'));
    await mergeIndex(repository, NO_LEASE);
    const left = await keysOf(storage, 'index/');
    expect(left).toHaveLength(2);
    expect(left).toContain(damaged);
  });

  it('takes its file back when it was taken for dead while it wrote, as what it says may be over', async () => {
    const { storage, repository } = await many();
    const before = await keysOf(storage, 'index/');
    let asked = 0;
    const assertHeld = (): Promise<void> => (++asked === 2 ? Promise.reject(new Error('lost')) : Promise.resolve());
    await expect(repository.indexStore.mergeFiles(before, assertHeld)).rejects.toThrow('lost');
    expect(await keysOf(storage, 'index/')).toEqual(before);
  });

  it('loses nothing when the power goes at any of its steps', async () => {
    const { storage } = await many();
    let crashes = 0;
    for (let crashAt = 1; ; crashAt++) {
      const crash = new CrashStorage({ from: storage, crashAt });
      const repository = await Repository.open(crash, { clock: makeClock(), secret: undefined });
      await mergeIndex(repository, NO_LEASE).catch(() => undefined);
      if (!crash.crashed) break;
      crashes++;
      await expectWhole(crash.survivors());
    }
    expect(crashes).toBeGreaterThan(BACKUPS);
  });
});

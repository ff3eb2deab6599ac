import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { checkRepository, readContent, Repository, type CheckReport } from './index.ts';
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

const READ = { readData: true };
/** As little as has every kind of object: a blob of small files, pages with their hashes, a tree of two levels, a link. */
const FILES: Files = {
  'd/small': noise(40, 1),
  text: Buffer.from('text '.repeat(20)),
  db: { pageSize: 512, pages: Buffer.concat([noise(512, 2), Buffer.alloc(512)]) },
  link: { link: 'text' },
};

/** Objects whose damage changes nothing that anyone restores, and why. */
const HARMLESS: [RegExp, string][] = [
  [
    /^(RECOVERY\.md|recover\.mjs)$/,
    'not read by a restore; every backup and repair writes it again, its sum is on the key sheet',
  ],
  [/^locks\//, 'holds no data; a lease that cannot be read keeps nobody out, and one that is renewed is written again'],
  [/^quarantine\//, 'kept for people; no reader uses it'],
];

const harmlessBecause = (key: string): string | undefined => HARMLESS.find(([pattern]) => pattern.test(key))?.[1];

/** Whether a report names an object: by its key, or by the backup whose manifest it is. */
const names = (report: CheckReport, key: string): boolean =>
  report.damaged.some(({ what, backup }) => what === key || (backup !== undefined && key.endsWith(`${backup}.json`)));

interface Tally {
  objects: number;
  changed: number;
  found: number;
  harmless: number;
  restoredWhole: number;
  refused: number;
}

async function sample(secret: string | undefined): Promise<{ storage: MemoryStorage; repository: Repository }> {
  const storage = new MemoryStorage();
  const repository = await makeRepository({ storage, secret });
  const { manifest } = await backUp(repository, 'first', FILES);
  const about = { at: 'now', backup: manifest.id, name: 'first' };
  await repository.notes.add({ type: 'hold', ...about, on: true });
  await repository.notes.add({ type: 'verification', ...about, level: 'full', status: 'ok', checkedBytes: 5 });
  await storage.put('locks/other.json', Buffer.from('{ "format": "foodsave-backup lease", "owner": {} }\n'));
  await storage.put('quarantine/files.x.pack.0123456789ab', Buffer.from('damaged'));
  return { storage, repository };
}

/** What is restored: whole, or refused with an error that says so. Anything else is thrown. */
async function outcome(read: () => Promise<string[]>): Promise<'whole' | 'refused' | string[]> {
  try {
    const wrong = await read();
    return wrong.length === 0 ? 'whole' : wrong;
  } catch (error) {
    if (error instanceof BackupError && ['DATA_DAMAGED', 'MANIFEST_DAMAGED', 'BACKUP_NOT_FOUND'].includes(error.code)) {
      return 'refused';
    }
    throw error;
  }
}

/**
 * Changes every object in every way that `variants` gives, and has it judged by a repository that was opened, and has read everything, before:
 * check must name the object, and what is restored must be whole or refused.
 */
async function judgeAll(
  secret: string | undefined,
  variants: (good: Buffer) => Generator<[where: string, bytes: Buffer]>,
): Promise<Tally> {
  const { storage, repository } = await sample(secret);
  expect(await checkRepository(repository, READ)).toMatchObject({ status: 'ok', damaged: [] });
  expect(await differences(repository, 'first', FILES)).toEqual([]);
  const tally: Tally = { objects: 0, changed: 0, found: 0, harmless: 0, restoredWhole: 0, refused: 0 };
  for (const key of [...(await keysOf(storage)), ...(await keysOf(storage, 'quarantine/'))]) {
    const good = Buffer.from(await storage.get(key));
    const harmless = harmlessBecause(key);
    tally.objects++;
    let step = 0;
    for (const [where, bytes] of variants(good)) {
      const place = `${key} ${where}`;
      await storage.put(key, bytes);
      tally.changed++;
      const report = await checkRepository(repository, READ);
      if (harmless === undefined) {
        expect(report.status, place).toBe('damaged');
        expect(names(report, key), place).toBe(true);
        tally.found++;
      } else {
        expect(report.damaged, `${place}: ${harmless}`).toEqual([]);
        tally.harmless++;
      }
      // Of JSON, which is one text under one checksum, every fourth; of all else every one.
      if (step++ % (key.endsWith('.json') ? 4 : 1) !== 0) continue;
      const restored = await outcome(() => differences(repository, 'first', FILES));
      expect(['whole', 'refused'], `${place} restored`).toContain(restored);
      if (report.affected.backups.length === 0 && !key.endsWith('first.json')) expect(restored, place).toBe('whole');
      if (restored === 'whole') tally.restoredWhole++;
      else tally.refused++;
    }
    await storage.put(key, good);
  }
  expect(await checkRepository(repository, READ)).toMatchObject({ status: 'ok', damaged: [] });
  return tally;
}

/** One bit of each byte, another one from byte to byte. */
function* flips(good: Buffer): Generator<[string, Buffer]> {
  for (let i = 0; i < good.length; i++) {
    const changed = Buffer.from(good);
    changed[i]! ^= 1 << (i % 8);
    yield [`byte ${i}`, changed];
  }
}

function* cuts(good: Buffer): Generator<[string, Buffer]> {
  for (let length = 0; length < good.length; length++) yield [`cut to ${length}`, good.subarray(0, length)];
}

describe.each([
  ['plain', undefined],
  ['encrypted', SECRET],
])('in a %s repository with warm caches', (kind, secret) => {
  it.each([
    ['every flipped byte', flips],
    ['every truncation', cuts],
  ])(
    '%s of every object is found by check, or harmless for a reason, and never restored as something else',
    async (what, variants) => {
      const tally = await judgeAll(secret, variants);
      console.info(`${kind}, ${what}: ${JSON.stringify(tally)}`);
      expect(tally.found + tally.harmless).toBe(tally.changed);
      expect(tally.changed).toBeGreaterThan(4000);
      expect(tally.restoredWhole).toBeGreaterThan(100);
      expect(tally.refused).toBeGreaterThan(500);
    },
    400_000,
  );

  it('a reader that has cached what it read restores it, or refuses; one that opens anew says the same as a warm one', async () => {
    const { storage, repository } = await sample(secret);
    const warm = repository.reader(await repository.loadIndex());
    const good = await contents(repository, warm);
    expect(good.size).toBe(3);
    let flipped = 0;
    for (const key of await keysOf(storage, '', 'keys/', 'files/', 'meta/', 'index/', 'manifests/')) {
      const bytes = Buffer.from(await storage.get(key));
      for (let i = 7; i < bytes.length; i += secret === undefined ? 16 : 160) {
        const changed = Buffer.from(bytes);
        changed[i]! ^= 0x10;
        await storage.put(key, changed);
        flipped++;
        const cached = await outcome(async () => {
          expect(await contents(repository, warm)).toEqual(good);
          return [];
        });
        expect(['whole', 'refused'], `${key} byte ${i}`).toContain(cached);
        const cold = await coldOutcome(storage, secret);
        expect(['whole', 'refused'], `${key} byte ${i}, cold`).toContain(cold);
      }
      await storage.put(key, bytes);
    }
    expect(flipped).toBeGreaterThan(20);
  }, 200_000);
});

/** What a reader restores of the backup's files, by path. */
async function contents(
  { manifests }: Repository,
  { blobs, trees }: ReturnType<Repository['reader']>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const root = (await manifests.get('first')).components['main']?.root ?? '';
  for await (const { path, entry } of trees.walk(Buffer.from(root, 'hex'))) {
    if (entry.type !== 'file') continue;
    const parts: Uint8Array[] = [];
    for await (const part of readContent(blobs, entry)) parts.push(part);
    found.set(Buffer.concat(path).toString(), Buffer.concat(parts).toString('latin1'));
  }
  return found;
}

/** A damaged key file, the only one, keeps the repository from being opened: refused. */
async function coldOutcome(
  storage: MemoryStorage,
  secret: string | undefined,
): Promise<'whole' | 'refused' | string[]> {
  let opened: Repository;
  try {
    opened = await Repository.open(storage, { clock: makeClock(), secret });
  } catch (error) {
    if (error instanceof BackupError && error.code === 'REPOSITORY_DAMAGED') return 'refused';
    throw error;
  }
  return outcome(() => differences(opened, 'first', FILES));
}

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BLOB_KIND, isWhole, sha256, type TreeEntry } from '@foodsave-backup/format';
import { BackupError, isHole, type Piece } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { readPieces, repairPacks, type BlobReader } from './index.ts';
import { RECOVERY } from './testing/backups.ts';
import {
  expectedEntry,
  GOLDEN,
  judge,
  loadGolden,
  openGolden,
  TREES,
  type Expected,
  type ExpectedEntry,
} from './testing/golden.ts';

const expected = JSON.parse(readFileSync(join(GOLDEN, 'expected.json'), 'utf8')) as Expected;
const NAMES = Object.keys(expected.repositories);

/** Others may be added beside them. */
const FROZEN = ['plain', 'encrypted', 'punched', 'damaged'];
const FROZEN_SHA256 = '65dcacc5844ece446683fdfddf8f79ebb484febde0df085fbeb78a5cc3aa7bc8';

const isBelow = (path: string, parent: string): boolean =>
  parent === '/' || path === parent || path.startsWith(`${parent}/`);

/** What a reader finds, said as expected.json says it. */
async function readEntry(blobs: BlobReader, entry: TreeEntry): Promise<ExpectedEntry> {
  const { type, xattrs } = entry;
  const attributes = xattrs && Object.fromEntries(xattrs.map(({ name, value }) => [name.toString(), value]));
  if (type === 'symlink') return { type, target: entry.target.toString() };
  if (type !== 'file') return { type };
  const pieces: Piece[] = [];
  for await (const piece of readPieces(blobs, entry)) pieces.push(piece);
  expect(pieces.reduce((sum, piece) => sum + (isHole(piece) ? piece.hole : 0), 0)).toBe(entry.holeBytes ?? 0);
  const { link, blockSha256 } = entry;
  return expectedEntry({
    pieces,
    ...(link === undefined ? {} : { name: link.toString() }),
    ...(attributes === undefined ? {} : { xattrs: attributes }),
    ...(blockSha256 === undefined ? {} : { byBlocks: true }),
  });
}

describe('golden repositories', () => {
  it('are those of the frozen format, byte for byte', () => {
    const files = readdirSync(GOLDEN, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'expected.json')
      .map((entry) => relative(GOLDEN, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
      .filter((path) => FROZEN.some((folder) => path.startsWith(`${folder}/`)))
      .sort();
    const lines = files.map((path) => `${path} ${sha256(readFileSync(join(GOLDEN, path))).toString('hex')}\n`);
    expect(sha256(Buffer.from(lines.join(''))).toString('hex')).toBe(FROZEN_SHA256);
  });

  it('are three whole ones and at least ten damaged ones, and hold what this page of code says', () => {
    const damaged = NAMES.filter((name) => name.startsWith('damaged/'));
    expect(NAMES.filter((name) => !damaged.includes(name))).toEqual(['plain', 'encrypted', 'punched']);
    expect(damaged.length).toBeGreaterThanOrEqual(10);
    for (const [name, files] of Object.entries(TREES)) {
      const entries = Object.entries(files).map(([path, content]) => [path, expectedEntry(content)]);
      expect(expected.trees[name]).toEqual(Object.fromEntries(entries));
    }
  });

  it('hold all that a tree can hold, and blobs that are punched in every way', async () => {
    const entries = Object.values(expected.trees['monday'] ?? {});
    expect(new Set(entries.map(({ type }) => type))).toEqual(new Set(['file', 'directory', 'symlink', 'fifo']));
    expect(entries.filter(({ link }) => link === 'one file')).toHaveLength(2);
    const { index } = await (await openGolden(await loadGolden('punched'), true)).loadIndex();
    const punched = [...index.packs()].flatMap(({ hash }) =>
      index.blobsOf(hash).filter(({ frames }) => !isWhole(frames)),
    );
    expect(new Set(punched.map(({ kind }) => kind))).toEqual(new Set([BLOB_KIND.data, BLOB_KIND.pages]));
    const frames = punched.flatMap((blob) => blob.frames.map(({ stored }) => stored > 0));
    expect(new Set(frames)).toEqual(new Set([true, false]));
  });

  it.each(NAMES)('%s is listed and checked as expected', async (name) => {
    const wanted = expected.repositories[name];
    expect(await judge(await loadGolden(name), wanted?.encrypted === true)).toEqual(wanted);
  });

  it.each(NAMES)('%s gives back every file but those that check names', async (name) => {
    const wanted = expected.repositories[name]!;
    const repository = await openGolden(await loadGolden(name), wanted.encrypted);
    const { blobs, trees } = repository.reader(await repository.loadIndex());
    for (const backup of wanted.backups) {
      const lost = wanted.check.affected.files
        .filter(({ backups }) => backups.includes(backup))
        .map(({ path }) => path);
      const root = Buffer.from((await repository.manifests.get(backup)).components['main']?.root ?? '', 'hex');
      for (const [path, entry] of Object.entries(expected.trees[backup] ?? {})) {
        const read = async (): Promise<ExpectedEntry | undefined> => {
          const found = await trees.find(
            root,
            path.split('/').map((part) => Buffer.from(part, 'latin1')),
          );
          return found && readEntry(blobs, found);
        };
        if (!lost.some((parent) => isBelow(path, parent))) expect(await read(), `${backup} ${path}`).toEqual(entry);
        else await expect(read(), `${backup} ${path}`).rejects.toBeInstanceOf(BackupError);
      }
    }
  });

  it.each(NAMES.filter((name) => name.startsWith('damaged/')))('%s is repaired as far as it can be', async (name) => {
    const wanted = expected.repositories[name]!;
    const storage = await loadGolden(name);
    const repository = await openGolden(storage, wanted.encrypted);
    const report = await repairPacks(repository, { dryRun: false, recoveryFiles: RECOVERY });
    expect(report.actions.length).toBeGreaterThan(0);
    const after = await judge(storage, wanted.encrypted);
    // What is left is what was lost for good: nothing but a manifest of which both copies are damaged is still broken.
    const left = wanted.check.damaged.filter(({ kind, what }) => kind === 'manifest' && what === 'monday');
    expect(after.check.damaged).toEqual(left);
    expect(after.check.affected.files.length).toBeLessThanOrEqual(wanted.check.affected.files.length);
    if (name === 'damaged/index-lies') expect(after.check.affected.files).toEqual([]);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { readContent, repairPacks } from './index.ts';
import { RECOVERY } from './testing/backups.ts';
import {
  BACKUPS,
  expectedEntry,
  GOLDEN,
  judge,
  loadGolden,
  openGolden,
  type Expected,
  type ExpectedEntry,
} from './testing/golden.ts';

const expected = JSON.parse(readFileSync(join(GOLDEN, 'expected.json'), 'utf8')) as Expected;
const NAMES = Object.keys(expected.repositories);

const isBelow = (path: string, parent: string): boolean =>
  parent === '/' || path === parent || path.startsWith(`${parent}/`);

describe('golden repositories', () => {
  it('are two whole ones and at least ten damaged ones, and hold what this page of code says', () => {
    const damaged = NAMES.filter((name) => name.startsWith('damaged/'));
    expect(NAMES.filter((name) => !damaged.includes(name))).toEqual(['plain', 'encrypted']);
    expect(damaged.length).toBeGreaterThanOrEqual(10);
    for (const [name, files] of Object.entries(BACKUPS)) {
      const entries = Object.entries(files).map(([path, content]) => [path, expectedEntry(content)]);
      expect(expected.trees[name]).toEqual(Object.fromEntries(entries));
    }
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
          if (found?.type === 'symlink') return { type: 'symlink', target: found.target.toString() };
          if (found?.type !== 'file') return found && { type: 'directory' };
          const parts: Uint8Array[] = [];
          for await (const part of readContent(blobs, found)) parts.push(part);
          return expectedEntry(Buffer.concat(parts));
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

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runHere, scratch, snapshot } from './harness.ts';

const GOLDEN = join(import.meta.dirname, '../../../libs/format/golden');
const root = scratch();

interface Entry {
  type: 'file' | 'directory' | 'symlink' | 'fifo';
  size?: number;
  sha256?: string;
  holes?: [number, number][];
  link?: string;
  xattrs?: Record<string, string>;
  target?: string;
}

interface Lost {
  path: string;
  backups: string[];
}

interface Expected {
  secret: string;
  trees: Record<string, Record<string, Entry>>;
  repositories: Record<
    string,
    {
      encrypted: boolean;
      backups: string[];
      check: { status: string; damaged: unknown[]; affected: { backups: string[]; files: Lost[] } };
    }
  >;
}

const expected = JSON.parse(readFileSync(join(GOLDEN, 'expected.json'), 'utf8')) as Expected;

/** An index that leads astray costs the libraries these files until it is repaired; recover.mjs goes on to ask the packs. */
const ASKS_THE_PACKS = 'damaged/index-lies';

const isBelow = (path: string, parent: string): boolean =>
  parent === '/' || path === parent || path.startsWith(`${parent}/`);

interface Restored {
  damaged: { path: string }[];
  pipes: number;
  warnings: string[];
}

/** What the file system has on disk is allotted in blocks of this size at most. */
const BLOCK = 4096;

/** Types of entries, which names are one file, and holes. */
function compareOnDisk(target: string, entries: [string, Entry][]): void {
  const groups = new Map<string, Set<number>>();
  for (const [path, { type, size = 0, holes = [], link }] of entries) {
    const stat = lstatSync(Buffer.concat([Buffer.from(`${target}/`), Buffer.from(path, 'latin1')]), {
      throwIfNoEntry: false,
    });
    const found = stat?.isDirectory() ? 'directory' : stat?.isSymbolicLink() ? 'symlink' : stat?.isFile() && 'file';
    // Node.js cannot make a FIFO: it is left out.
    expect(found, path).toBe(type === 'fifo' ? undefined : type);
    if (stat === undefined || type !== 'file') continue;
    const names = entries.filter(([, other]) => link !== undefined && other.link === link).length;
    expect([path, stat.size, stat.nlink]).toEqual([path, size, Math.max(1, names)]);
    if (link !== undefined) groups.set(link, (groups.get(link) ?? new Set()).add(stat.ino));
    const hollow = holes.reduce((sum, [, length]) => sum + length, 0);
    if (hollow > 0) expect(stat.blocks * 512, path).toBeLessThanOrEqual(size - hollow + 2 * BLOCK);
  }
  for (const [link, inodes] of groups) expect(inodes.size, link).toBe(1);
}

/** What recover.mjs says of attributes, which nothing in Node.js can set. */
function unsetAttributes(entries: [string, Entry][]): string[] {
  const times = new Map<string, number>();
  for (const [, { xattrs = {} }] of entries)
    for (const name of Object.keys(xattrs)) times.set(name, (times.get(name) ?? 0) + 1);
  const said = ([name, count]: [string, number]): string =>
    `the extended attribute ${name} was not set on ${count} ${count === 1 ? 'entry' : 'entries'}`;
  return [...times].map(said).sort();
}

describe.each(Object.entries(expected.repositories))('the golden repository %s', (name, wanted) => {
  const repository = join(GOLDEN, name);
  const env: Record<string, string> = wanted.encrypted ? { BACKUP_ENCRYPTION_KEY: expected.secret } : {};

  test('is listed', async () => {
    const { out, code } = await runHere(['list', '--json', '--repository', repository], env);
    const { backups } = JSON.parse(out) as { backups: { name: string; status: string; problems: string[] }[] };
    const good = backups.filter(({ status }) => status === 'complete').map((backup) => backup.name);
    expect(good.sort()).toEqual([...wanted.backups].sort());
    const kinds = (wanted.check.damaged as { kind: string }[]).map(({ kind }) => kind);
    expect(code).toBe(kinds.includes('manifest') || kinds.includes('repository') ? 1 : 0);
  });

  test('gives back every file but those that are lost, and says which', async () => {
    for (const [backup, tree] of Object.entries(expected.trees)) {
      const target = join(root, name.replaceAll('/', '-'), backup);
      const args = ['restore', backup, target, '--json', '--repository', repository];
      const { out, code } = await runHere(args, env);
      if (!wanted.backups.includes(backup)) {
        expect(code).toBe(1);
        expect(existsSync(target)).toBe(false);
        continue;
      }
      const lost = wanted.check.affected.files
        .filter(({ backups }) => name !== ASKS_THE_PACKS && backups.includes(backup))
        .map(({ path }) => path);
      expect(code, backup).toBe(lost.length === 0 ? 0 : 1);
      const { damaged, pipes, warnings } = JSON.parse(out) as Restored;
      expect(damaged.map(({ path }) => (path === '' ? '/' : path)).sort(), backup).toEqual([...lost].sort());
      const { files, links } = existsSync(target)
        ? snapshot(target)
        : { files: new Map<string, Buffer>(), links: new Map<string, string>() };
      for (const [path, entry] of Object.entries(tree)) {
        const gone = lost.some((parent) => isBelow(path, parent));
        if (entry.type === 'symlink') expect(links.get(path), path).toBe(gone ? undefined : entry.target);
        if (entry.type !== 'file') continue;
        const bytes = files.get(path);
        const sum = bytes === undefined ? undefined : createHash('sha256').update(bytes).digest('hex');
        expect(sum, path).toBe(gone ? undefined : entry.sha256);
      }
      const whole = Object.entries(tree).filter(([path]) => !lost.some((parent) => isBelow(path, parent)));
      compareOnDisk(target, whole);
      if (lost.length > 0) continue;
      expect(pipes, backup).toBe(whole.filter(([, { type }]) => type === 'fifo').length);
      expect(warnings.filter((text) => text.includes('extended attribute')).sort()).toEqual(unsetAttributes(whole));
    }
  });

  test('is verified', async () => {
    for (const backup of wanted.backups) {
      const { code } = await runHere(['verify', backup, '--repository', repository], env);
      const { affected, status } = wanted.check;
      if (status === 'ok') expect(code, backup).toBe(0);
      if (affected.backups.includes(backup)) expect(code, backup).toBe(1);
    }
  });
});

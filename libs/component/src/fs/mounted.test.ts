import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Outcomes } from '../testing/mounted-restores.ts';

/** In a mount namespace of its own, and where this user is not root, in a user namespace too. */
function outcomesOf(directory: string): Outcomes {
  const script = fileURLToPath(new URL('../testing/mounted-restores.ts', import.meta.url));
  const root = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const node = [process.execPath, '--conditions=@foodsave-backup/source', script, directory];
  const args = [...root, '--mount', '--propagation', 'private', ...node];
  return JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' })) as Outcomes;
}

let found: Outcomes;
beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), 'foodsave-mounts-'));
  try {
    found = outcomesOf(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

describe('a live restore over real mounts', () => {
  it('restores mount points by their contents, from a stage on each disk, and keeps the ones that the backup does not know', () => {
    expect(found.withMounts).toMatchObject({
      tree: {
        bound: '/',
        'bound/a': 'new',
        disk: '/',
        'disk/a': 'new',
        'disk/deep': '/',
        'disk/deep/b': 'new',
        top: 'new',
        unknown: '/',
      },
      left: [],
      notes: [expect.stringContaining('1 extra directory was kept')],
    });
    expect(Object.keys(found.withMounts.tree)).toHaveLength(8);
    expect(found.bound).toBe('new');
  });

  it('of which one is the root stages within it', () => {
    expect(found.rootIsMount).toMatchObject({ tree: { a: 'new' }, left: [], notes: [] });
  });

  it('one of which is read-only leaves everything as it was', () => {
    expect(found.readOnlyPart).toMatchObject({
      error: { code: 'RESTORE_FAILED' },
      tree: { a: 'old', 'part/b': 'old', z: 'old' },
      left: [],
    });
  });

  it('with a file that cannot be replaced leaves everything as it was: immutable, or a mount point of its own', () => {
    const old = { code: 'RESTORE_FAILED', hint: expect.stringContaining('put back as it was') as string };
    expect(found.immutable).toMatchObject({ error: old, tree: { a: 'old', b: 'old', c: 'old' }, left: [] });
    expect(found.boundFile).toMatchObject({ error: old, tree: { a: 'old', conf: 'old' }, left: [] });
    expect(found.boundFile.error?.hint).toContain('A single file is mounted there');
  });

  it('whose disk fills up while it stages leaves everything as it was', () => {
    expect(found.fullDisk).toMatchObject({ error: { code: 'NO_SPACE' }, tree: { a: 'old' }, left: [] });
  });

  it('deletes what the preview has shown and nothing that appeared since', () => {
    expect(found.lateFile).toMatchObject({
      tree: { a: 'new', gone: '/', 'gone/late': 'of the application', late: 'of the application' },
      left: [],
    });
    expect(Object.keys(found.lateFile.tree)).toHaveLength(4);
  });
});

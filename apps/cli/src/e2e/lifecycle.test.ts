import { existsSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import type {
  BackupPage,
  BackupView,
  CleanupResult,
  DeleteResult,
  RestoreResult,
  StatsView,
  TreeListing,
  VerifyResult,
} from '@foodsave-backup/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workspace } from '../testing/workspace.ts';

interface Health {
  status: string;
  info: Record<string, unknown>;
  error: Record<string, unknown>;
}

const countRows = (workspace: Workspace): unknown =>
  workspace.sql((db) => db.prepare('SELECT count(*) FROM items').pluck().get());

describe('the life of a backup', () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.withData(500);
  });
  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  it('is made together with its repository, saying where the key is', async () => {
    const { code, stdout, stderr } = await workspace.run([
      'create',
      '--name',
      'first',
      '--tag',
      'a',
      '--tag',
      'release 42',
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/✓ complete {2}first\n/);
    expect(stdout).toContain('new data verified');
    expect(stderr).toContain(`Note: Made a new repository at ${workspace.path('backups')}`);
    expect(stderr).toMatch(
      new RegExp(`Note: Its key is in ${workspace.path('state', 'backup.key')}\\. Keep a copy .* somewhere else`),
    );
    expect((await stat(workspace.path('state', 'backup.key'))).mode & 0o777).toBe(0o600);
  });

  it('is the JSON document of a second create', async () => {
    const backup = await workspace.json<BackupView>([
      'create',
      '--name',
      'second',
      '--components',
      'database,files:main',
    ]);
    expect(backup).toMatchObject({ name: 'second', status: 'complete', verification: { level: 'new', status: 'ok' } });
    expect(Object.keys(backup.components)).toEqual(['database:main', 'files:main']);
    expect(backup.components['database:main']?.facts).toMatchObject({ integrityCheck: 'ok' });
  });

  it('is listed, newest first, page by page and by what is asked for', async () => {
    const all = await workspace.json<BackupPage>(['list']);
    expect(all.items.map((backup) => backup.name)).toEqual(['second', 'first']);
    const page = await workspace.json<BackupPage>(['list', '--limit', '1']);
    expect(page).toMatchObject({ total: 2, items: [{ name: 'second' }] });
    const next = await workspace.json<BackupPage>(['list', '--limit', '1', '--cursor', page.nextCursor ?? '']);
    expect(next.items.map((backup) => backup.name)).toEqual(['first']);
    expect((await workspace.json<BackupPage>(['list', '--component', 'config'])).items).toHaveLength(1);
    expect((await workspace.json<BackupPage>(['list', '--query', 'RELEASE'])).items).toMatchObject([{ name: 'first' }]);
    expect((await workspace.json<BackupPage>(['list', '--status', 'damaged'])).total).toBe(0);
    const table = await workspace.run(['list']);
    expect(table.stdout).toMatch(/^NAME +STATUS +AGE +CREATED/);
    expect(table.stdout).toMatch(/first +✓ complete +just now +20\d\d-.* new data verified +a,release 42/);
  });

  it('is shown with its facts, and its directories are listed', async () => {
    const shown = await workspace.run(['show', 'first']);
    expect(shown.stdout).toMatch(/tables +items \(rows 500\)/);
    const top = await workspace.json<TreeListing>(['ls', 'first']);
    expect(top.entries).toContainEqual(expect.objectContaining({ path: 'data', type: 'directory' }));
    const uploads = await workspace.json<TreeListing>(['ls', 'first', 'data/uploads', '--component', 'files']);
    expect(uploads.entries.map((entry) => entry.path)).toEqual(['data/uploads/a.txt', 'data/uploads/deep']);
    const human = await workspace.run(['ls', 'first', 'data/uploads']);
    expect(human.stdout).toMatch(/-rw-r--r-- +13 B .* data\/uploads\/a\.txt/);
  });

  it('is verified, quickly and fully, in words that do not promise more', async () => {
    const quick = await workspace.run(['verify', 'first', '--quick']);
    expect(quick).toMatchObject({ code: 0, stdout: '✓ ok  first: presence and sizes checked\n' });
    expect(await workspace.json<VerifyResult>(['verify', 'first'])).toMatchObject({
      level: 'full',
      status: 'ok',
      damaged: [],
    });
    expect((await workspace.run(['list'])).stdout).toMatch(/first .* ✓ all data verified/);
    expect((await workspace.run(['check', '--read-data'])).code).toBe(0);
    expect(await workspace.json(['check', '--read-data-subset', '1/2'])).toMatchObject({ status: 'ok', backups: 2 });
  });

  it('is restored to a directory that is relative to the working directory', async () => {
    const result = await workspace.json<RestoreResult>(['restore', 'first', '--target', 'out']);
    expect(result).toMatchObject({ target: workspace.path('out'), failed: [] });
    expect(await readFile(workspace.path('out/data/uploads/a.txt'), 'utf8')).toBe('first upload\n');
    expect(await readFile(workspace.path('out/data/config/app.yaml'), 'utf8')).toBe('port: 8080\n');
    const part = await workspace.run(['restore', 'first', '--target', 'part', '--path', 'data/uploads/deep']);
    expect(part.code).toBe(0);
    expect(existsSync(workspace.path('part/data/uploads/deep/b.bin'))).toBe(true);
    expect(existsSync(workspace.path('part/data/uploads/a.txt'))).toBe(false);
    const dry = await workspace.json<RestoreResult>(['restore', 'first', '--target', 'dry', '--dry-run']);
    expect(dry).toMatchObject({ dryRun: true });
    expect(existsSync(workspace.path('dry'))).toBe(false);
  });

  it('is restored in place as previewed, and that is undone', async () => {
    workspace.sql((db) => db.exec('DELETE FROM items WHERE id > 100'));
    await rm(workspace.path('data/uploads/a.txt'));
    await workspace.write('data/uploads/later.txt', 'made after the backup\n');

    const preview = await workspace.json<RestoreResult>(['restore', 'first', '--dry-run']);
    expect(preview.plan?.['files:main']).toMatchObject({
      added: ['data/uploads/a.txt'],
      deleted: ['data/uploads/later.txt'],
    });
    expect(countRows(workspace)).toBe(100);

    const restored = await workspace.run(['restore', 'first', '--yes']);
    expect(restored).toMatchObject({ code: 0 });
    expect(restored.stderr).toContain('Saving the present database:main');
    expect(restored.stdout).toMatch(/To take it back: foodsave-backup undo \(it restores safety_\d+_\d+\)/);
    expect(countRows(workspace)).toBe(500);
    expect(existsSync(workspace.path('data/uploads/later.txt'))).toBe(false);
    expect(await readFile(workspace.path('data/uploads/a.txt'), 'utf8')).toBe('first upload\n');

    const undone = await workspace.json<RestoreResult>(['undo', '--yes']);
    expect(undone.name).toMatch(/^safety_/);
    expect(countRows(workspace)).toBe(100);
    expect(existsSync(workspace.path('data/uploads/later.txt'))).toBe(true);
    expect(existsSync(workspace.path('data/uploads/a.txt'))).toBe(false);
  });

  it('is counted in stats and health', async () => {
    const stats = await workspace.json<StatsView>(['stats']);
    expect(stats).toMatchObject({ backups: 4, complete: 4, damaged: 0 });
    expect((await workspace.run(['stats'])).stdout).toMatch(/Backups +4, 4 complete/);
    const health = await workspace.json<Health>(['health']);
    expect(health).toMatchObject({ status: 'ok', error: {}, info: { lastBackup: { status: 'up' } } });
  });

  it('is explained by cleanup, and gone after delete', async () => {
    // Proven by the newest full verification, the first one would be kept.
    await workspace.json(['verify', 'second']);
    const plan = await workspace.json<CleanupResult>(['cleanup', '--dry-run']);
    expect(plan).toMatchObject({ dryRun: true, deleted: [{ name: 'first' }] });
    expect(plan.kept.every(({ reasons }) => reasons.length > 0)).toBe(true);
    expect((await workspace.json<BackupPage>(['list'])).total).toBe(4);
    const done = await workspace.run(['cleanup']);
    expect(done.stdout).toMatch(/^Deleted 1 backup:\n +NAME +DELETED BECAUSE\n +first +\w/);
    expect(await workspace.json(['show', 'first'], 1)).toMatchObject({ error: { code: 'BACKUP_NOT_FOUND' } });
    expect((await workspace.run(['verify', 'second'])).code).toBe(0);
    expect(await workspace.json<DeleteResult>(['delete', 'second', '--yes'])).toMatchObject({ name: 'second' });
    expect(await workspace.json(['check'])).toMatchObject({ status: 'ok', backups: 2 });
  });

  it('goes with others in one delete, or none of them goes', async () => {
    for (const name of ['x', 'y']) await workspace.json(['create', '--name', name]);
    const refused = await workspace.json<{ error: unknown }>(['delete', 'x', 'y', 'nope', '--yes'], 1);
    expect(refused.error).toMatchObject({
      code: 'BACKUP_NOT_FOUND',
      hint: expect.stringContaining('Nothing was deleted.') as string,
    });
    expect((await workspace.json<BackupPage>(['list'])).total).toBe(4);
    const gone = await workspace.run(['delete', 'x', 'y', 'x', '--yes']);
    expect(gone).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Deleted x, y, freed /) as string });
    expect((await workspace.json<BackupPage>(['list'])).total).toBe(2);
  });
});

describe('init', () => {
  it('makes an encrypted repository and says that the key must be kept elsewhere', async () => {
    await using workspace = await Workspace.open();
    const { code, stdout, stderr } = await workspace.run(['init']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `✓ made  an encrypted repository at ${workspace.path('backups')}\n`,
    });
    expect(stderr).toContain('without it no backup can be read');
    expect(await workspace.json(['init'], 1)).toMatchObject({ error: { code: 'REPOSITORY_EXISTS' } });
  });

  it('makes an unencrypted one only when asked to, in the directory that --repository names', async () => {
    await using workspace = await Workspace.open();
    const result = await workspace.json(['init', '--no-encryption', '--repository', 'elsewhere']);
    expect(result).toMatchObject({ encrypted: false, location: workspace.path('elsewhere') });
    expect(existsSync(workspace.path('state', 'backup.key'))).toBe(false);
    expect(await workspace.json(['list', '--repository', 'elsewhere'])).toMatchObject({ total: 0 });
  });
});

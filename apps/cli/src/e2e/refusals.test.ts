import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { BackupPage, CleanupResult } from '@foodsave-backup/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workspace } from '../testing/workspace.ts';

interface Failure {
  error: { code: string; message: string; hint: string };
}

/** Of the user "nobody" on Debian. */
const NOBODY = 65_534;

describe('refusals of a repository that is well', () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.withData(10);
    await workspace.json(['create', '--name', 'Monday']);
  });
  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  it.each([
    ['../x', 2, 'NAME_INVALID'],
    ['', 2, 'NAME_INVALID'],
    ['a'.repeat(300), 2, 'NAME_INVALID'],
    ['repository', 2, 'NAME_INVALID'],
    ['Repository.json', 2, 'NAME_INVALID'],
    ['zła', 2, 'NAME_INVALID'],
    ['Monday', 1, 'NAME_TAKEN'],
    ['mONDAY', 1, 'NAME_TAKEN'],
  ])('create --name %j', async (name, code, expected) => {
    const { error } = await workspace.json<Failure>(['create', '--name', name], code);
    expect(error.code).toBe(expected);
    expect(error.hint).toMatch(/\w/);
  });

  it.each([
    [['show', '../x'], 2, 'NAME_INVALID'],
    [['verify', 'nope'], 1, 'BACKUP_NOT_FOUND'],
    [['delete', 'nope', '--yes'], 1, 'BACKUP_NOT_FOUND'],
    [['restore', 'nope', '--yes'], 1, 'BACKUP_NOT_FOUND'],
    [['restore', 'Monday', '--components', 'nope', '--target', 'out'], 2, 'COMPONENT_UNKNOWN'],
    [['restore', 'Monday', '--path', 'data/nope', '--target', 'out'], 1, 'PATH_NOT_FOUND'],
    [['restore', 'Monday', '--target', 'data'], 2, 'TARGET_INVALID'],
    [['restore', 'Monday', '--target', ''], 2, 'USAGE'],
    [['restore', 'Monday'], 2, 'CONFIRMATION_REQUIRED'],
    [['undo'], 2, 'CONFIRMATION_REQUIRED'],
    [['undo', '--yes'], 1, 'NOTHING_TO_UNDO'],
    [['delete', 'Monday'], 2, 'CONFIRMATION_REQUIRED'],
    [['create', '--components', 'database,nope'], 2, 'COMPONENT_UNKNOWN'],
    [['ls', 'Monday', 'data/nope'], 1, 'PATH_NOT_FOUND'],
    [['ls', 'Monday', '--component', 'nope'], 2, 'COMPONENT_UNKNOWN'],
    [['list', '--cursor', 'made-up'], 2, 'VALIDATION_FAILED'],
    [['list', '--config', 'nope.yaml'], 2, 'CONFIG_INVALID'],
    [['list', '--repository', 's3://bucket'], 2, 'CONFIG_INVALID'],
    [['list', '--repository', 'empty'], 10, 'REPOSITORY_NOT_FOUND'],
    [['init'], 1, 'REPOSITORY_EXISTS'],
  ])('%j', async (args, code, expected) => {
    const { error } = await workspace.json<Failure>(args, code);
    expect(error.code).toBe(expected);
    expect(error.message).toMatch(/\w/);
    expect(error.hint).toMatch(/\w/);
  });

  it('says the same to people, on stderr, without a stack', async () => {
    const { code, stdout, stderr } = await workspace.run(['show', 'nope']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error \[BACKUP_NOT_FOUND\]: .*"nope".*\n→ .*\n$/);
    expect((await workspace.run(['show', 'nope', '--verbose'])).stderr).toMatch(/\n {4}at /);
  });

  it('refuses a wrong key and a missing one', async () => {
    const wrong = { env: { BACKUP_ENCRYPTION_KEY: 'not the key of this repository' } };
    const { error } = await workspace.json<Failure>(['list'], 12, wrong);
    expect(error.code).toBe('WRONG_KEY');
    expect(JSON.stringify(error)).not.toContain('not the key');
    const key = workspace.path('state', 'backup.key');
    const kept = await readFile(key);
    await rm(key);
    expect((await workspace.json<Failure>(['list'], 12)).error.code).toBe('KEY_MISSING');
    expect((await workspace.json<Failure>(['create'], 12)).error.code).toBe('KEY_MISSING');
    await writeFile(key, kept, { mode: 0o600 });
    expect(await workspace.json(['list'])).toMatchObject({ total: 1 });
  });

  it('does not start with a configuration that is wrong, and names line and key', async () => {
    await workspace.write('bad.yaml', 'components: { database: { path: ./data/app.db } }\nretention: { dayly: 3 }\n');
    const { error } = await workspace.json<Failure>(['create', '--config', 'bad.yaml'], 2);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(/bad\.yaml, line 2: retention\.dayly .*did you mean "daily"/);
  });
});

describe('refusals of a repository that is not', () => {
  it.each(['list', 'stats', 'check', 'cleanup'])('%s exits 10 without a repository', async (command) => {
    await using workspace = await Workspace.open();
    const { error } = await workspace.json<Failure>([command], 10);
    expect(error.code).toBe('REPOSITORY_NOT_FOUND');
    expect(error.hint).toContain('init');
  });

  it('does not write into a directory of someone else', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.write('backups/holiday.jpg', 'not ours');
    expect((await workspace.json<Failure>(['create'], 10)).error.code).toBe('REPOSITORY_NOT_FOUND');
    expect((await workspace.json<Failure>(['init'], 1)).error.code).toBe('REPOSITORY_EXISTS');
  });

  it('refuses a newer format version', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.json(['create', '--no-encryption']);
    for (const copy of ['backups/repository.json', 'backups/manifests/repository.json']) {
      const text = await readFile(workspace.path(copy), 'utf8');
      const body = text.slice(0, text.indexOf('  "checksum"')).replace(/"version": \d+/, '"version": 999');
      const checksum = createHash('sha256').update(body).digest('hex');
      await workspace.write(copy, `${body}  "checksum": "sha256:${checksum}"\n}\n`);
    }
    for (const command of [['list'], ['create'], ['check']]) {
      const { error } = await workspace.json<Failure>(command, 1);
      expect(error.code).toBe('FORMAT_TOO_NEW');
    }
  });

  it('lists the rest when a manifest is damaged in both copies, and retention holds back', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.json(['create', '--name', 'good']);
    await workspace.json(['create', '--name', 'bad']);
    await workspace.write('backups/bad.json', '{ "half": ');
    await workspace.write('backups/manifests/bad.json', '{ "half": ');
    const page = await workspace.json<BackupPage>(['list']);
    expect(page.items.map(({ name, status }) => [name, status]).sort()).toEqual([
      ['bad', 'damaged'],
      ['good', 'complete'],
    ]);
    expect((await workspace.json<Failure>(['show', 'bad'], 1)).error.code).toBe('MANIFEST_DAMAGED');
    expect((await workspace.run(['verify', 'good'])).code).toBe(0);
    const cleaned = await workspace.json<CleanupResult>(['cleanup'], 3);
    expect(cleaned.deleted).toEqual([]);
    expect(cleaned.blocked).toMatch(/\w/);
    expect(await workspace.json(['check'], 1)).toMatchObject({ status: 'damaged' });
    expect(await workspace.json(['health'], 1)).toMatchObject({ status: 'error' });
  });

  it('prints what is damaged and exits 1 when verify finds a flipped byte', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.json(['create', '--name', 'flipped', '--no-encryption']);
    const packs = (await readdir(workspace.path('backups/files'), { recursive: true, withFileTypes: true })).filter(
      (e) => e.isFile(),
    );
    for (const pack of packs) {
      const path = `${pack.parentPath}/${pack.name}`;
      const bytes = await readFile(path);
      const middle = Math.floor(bytes.length / 3);
      bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
      await chmod(path, 0o600);
      await writeFile(path, bytes);
    }
    const human = await workspace.run(['verify', 'flipped']);
    expect(human.code).toBe(1);
    expect(human.stdout).toMatch(/^✗ damaged {2}flipped/);
    expect(human.stdout).toMatch(/files:main data\/uploads/);
    expect(human.stderr).toContain('Error [VERIFICATION_FAILED]');
    const result = await workspace.json<{ damaged: unknown[] }>(['verify', 'flipped'], 1);
    expect(result).toMatchObject({ status: 'damaged' });
    expect(result.damaged.length).toBeGreaterThan(0);
    expect(await workspace.json(['check', '--read-data'], 1)).toMatchObject({ status: 'damaged' });
    const rest = await workspace.run(['restore', 'flipped', '--target', 'out']);
    expect(rest.code).toBe(3);
    expect(rest.stdout).toContain('could not be restored');
  });

  it('says "Backup directory not writable" when it is not', async () => {
    await using workspace = await Workspace.withData(10);
    const { uid } = await stat(workspace.dir);
    await mkdir(workspace.path('backups'));
    await mkdir(workspace.path('state'), { mode: 0o700 });
    const options = { uid: uid === 0 ? NOBODY : uid };
    if (uid === 0) {
      // Mode bits do not stop root: the command runs as someone else.
      await chmod(workspace.dir, 0o755);
      await chown(workspace.path('state'), NOBODY, NOBODY);
    }
    await chmod(workspace.path('backups'), 0o555);
    const { error } = await workspace.json<Failure>(['create'], 1, options);
    expect(error.code).toBe('REPOSITORY_NOT_WRITABLE');
    expect(error.message).toContain('Backup directory not writable');
  });
});

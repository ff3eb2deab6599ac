import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { BackupView, KeyListView, RepairResult, StoredKey, UnlockResult } from '@foodsave-backup/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finished, Workspace } from '../testing/workspace.ts';

interface Failure {
  error: { code: string; message: string; hint?: string };
}

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.withData(10);
  await workspace.json(['create', '--name', 'first']);
});

afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

describe('hold and unhold', () => {
  it('keep a backup from being deleted', async () => {
    const held = await workspace.json<BackupView>(['hold', 'first', '--reason', 'before the migration']);
    expect(held).toMatchObject({ name: 'first', hold: true, holdReason: 'before the migration' });
    expect((await workspace.run(['show', 'first'])).stdout).toMatch(/Held +yes: before the migration/);
    const { error } = await workspace.json<Failure>(['delete', 'first', '--yes'], 1);
    expect(error).toMatchObject({ code: 'BACKUP_HELD', hint: expect.stringContaining('unhold first') as string });
    const free = await workspace.run(['unhold', 'first']);
    expect(free).toMatchObject({ code: 0, stdout: 'first is not held: retention decides.\n' });
    expect((await workspace.json<BackupView>(['show', 'first'])).hold).toBe(false);
    expect((await workspace.json<Failure>(['hold', 'nothing'], 1)).error.code).toBe('BACKUP_NOT_FOUND');
  });
});

describe('keys', () => {
  const secretIn = async (file: string): Promise<string> => (await readFile(workspace.path(file), 'utf8')).trim();

  it('are added as a private file that is never replaced, and open the repository', async () => {
    expect((await workspace.json<Failure>(['key', 'add'], 2)).error.code).toBe('USAGE');
    const add = ['key', 'add', '--label', 'office safe', '--key-file-out', 'second.key'];
    const added = await workspace.run(add);
    expect(added.code).toBe(0);
    const secret = await secretIn('second.key');
    expect(secret).toMatch(/^fsbk1-[a-z2-7]{52}$/);
    expect((await stat(workspace.path('second.key'))).mode & 0o777).toBe(0o600);
    const again = await workspace.run([...add, '--json', '--verbose']);
    expect(again.code).toBe(1);
    expect(await secretIn('second.key')).toBe(secret);
    expect(added.stdout + added.stderr + again.stdout + again.stderr).not.toContain(secret);

    const list = await workspace.json<KeyListView>(['key', 'list']);
    expect(list.keys.map(({ label, opens }) => [label, opens])).toEqual([
      ['first key', true],
      ['office safe', false],
    ]);
    const env = { BACKUP_ENCRYPTION_KEY_FILE: workspace.path('second.key') };
    const shown = await workspace.json<BackupView>(['show', 'first'], 0, { env });
    expect(shown.name).toBe('first');
    expect((await workspace.run(['key', 'list'], { env })).stdout).toMatch(/office safe .*✓ in use/);
  });

  it.each(['backups/new.key', 'data/uploads/new.key'])('never go to %s, into the backups themselves', async (file) => {
    for (const command of [
      ['key', 'add', '--key-file-out', file],
      ['key', 'export', '--out', file],
    ]) {
      expect((await workspace.json<Failure>(command, 2)).error.code).toBe('TARGET_INVALID');
    }
    await expect(stat(workspace.path(file))).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await workspace.json<KeyListView>(['key', 'list'])).keys).toHaveLength(2);
  });

  it('are taken from stdin, and removed', async () => {
    const secret = 'correct horse battery staple';
    const child = workspace.startWithInput(['key', 'add', '--key-file', '-', '--label', 'words', '--json'], secret);
    const { code, stdout, stderr } = await finished(child);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout + stderr).not.toContain(secret);
    const { id } = JSON.parse(stdout) as StoredKey;
    const env = { BACKUP_ENCRYPTION_KEY: secret };
    const asked = await workspace.json<Failure>(['key', 'remove', id], 2, { env });
    expect(asked.error.code).toBe('CONFIRMATION_REQUIRED');
    expect(await workspace.json<StoredKey>(['key', 'remove', id])).toMatchObject({ id, label: 'words' });
    expect((await workspace.json<Failure>(['list'], 12, { env })).error.code).toBe('WRONG_KEY');
    await workspace.write('short.txt', 'hunter2\n');
    const short = await workspace.run(['key', 'add', '--key-file', 'short.txt', '--json']);
    expect(short.code).toBe(2);
    expect(short.stdout).not.toContain('hunter2');
  });

  it('but never the last one', async () => {
    await using other = await Workspace.withData(10);
    await other.json(['init']);
    const { keys } = await other.json<KeyListView>(['key', 'list']);
    const { error } = await other.json<Failure>(['key', 'remove', keys[0]?.id ?? '', '--yes'], 2);
    expect(error.message).toContain('last');
    expect(await readdir(other.path('backups/keys'))).toHaveLength(1);
  });

  it('are exported as a private sheet, or on stdout when that is asked for', async () => {
    const secret = await secretIn('state/backup.key');
    expect((await workspace.json<Failure>(['key', 'export'], 2)).error.code).toBe('USAGE');
    expect((await workspace.json<Failure>(['key', 'export', '--stdout'], 2)).error.code).toBe('USAGE');
    const made = await workspace.run(['key', 'export', '--out', 'sheet.txt', '--json']);
    expect(made.code).toBe(0);
    expect(made.stdout + made.stderr).not.toContain(secret);
    expect((await stat(workspace.path('sheet.txt'))).mode & 0o777).toBe(0o600);
    const sheet = await readFile(workspace.path('sheet.txt'), 'utf8');
    const reader = await readFile(workspace.path('backups/recover.mjs'));
    const sum = createHash('sha256').update(reader).digest('hex');
    for (const part of [secret, 'shop', workspace.path('backups'), `SHA-256 ${sum}`]) expect(sheet).toContain(part);
    expect(JSON.parse(made.stdout)).toMatchObject({ application: 'shop', recoverSha256: sum });
    expect((await workspace.json<Failure>(['key', 'export', '--out', 'sheet.txt'], 1)).error.code).toBe('IO_ERROR');
    const printed = await workspace.run(['key', 'export', '--stdout', '--quiet']);
    expect(printed.stdout).toContain(secret);
  });
});

describe('damage', () => {
  it('is shown with what it costs, repaired, and the repository is whole after the next backup', async () => {
    await using other = await Workspace.withData(10);
    await other.json(['create', '--name', 'first']);
    const [pack = ''] = await readdir(other.path('backups/files'));
    const path = other.path(`backups/files/${pack}`);
    const bytes = await readFile(path);
    // In the first frame: the header has 64 bytes.
    bytes[70]! ^= 1;
    await writeFile(path, bytes);
    const checked = await other.run(['check', '--read-data']);
    expect(checked.code).toBe(1);
    expect(checked.stdout).toMatch(/Run "repair packs"/);
    expect(checked.stdout).toMatch(/Cannot be restored whole: .* in 1 backup \(first\)/);
    const planned = await other.run(['repair', 'packs', '--dry-run']);
    expect(planned).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('Would move to quarantine (1 object)') as string,
    });
    const report = await other.json<RepairResult>(['repair', 'packs'], 3);
    expect(report.affected.backups).toEqual(['first']);
    expect(await readdir(other.path('backups/quarantine'))).toHaveLength(1);
    await other.json(['create', '--name', 'second']);
    const whole = await other.json<{ status: string }>(['check', '--read-data']);
    expect(whole.status).toBe('ok');
    expect((await other.run(['repair', 'index'])).stdout).toContain('Nothing had to be repaired');
  });

  it('of a secret that got into wrong hands is answered by another secret', async () => {
    const before = await readFile(workspace.path('state/backup.key'), 'utf8');
    const rotated = await workspace.run(['key', 'rotate', '--label', 'after the audit']);
    expect(rotated).toMatchObject({ code: 0, stdout: expect.stringContaining('after the audit') as string });
    expect(rotated.stderr).toContain('Print the key sheet again');
    const after = await readFile(workspace.path('state/backup.key'), 'utf8');
    expect(after).not.toBe(before);
    expect(rotated.stdout + rotated.stderr).not.toContain(after.trim());
    await workspace.json(['show', 'first']);
    const env = { BACKUP_ENCRYPTION_KEY: before.trim() };
    expect((await workspace.json<Failure>(['list'], 12, { env })).error.code).toBe('WRONG_KEY');
    expect((await workspace.json<Failure>(['key', 'rotate'], 12, { env })).error.code).toBe('WRONG_KEY');
  });
});

describe('unlock', () => {
  const lease = (host: string): string =>
    JSON.stringify({
      format: 'foodsave-backup lease',
      id: host,
      purpose: 'create',
      exclusive: true,
      owner: { host, bootId: 'another', pid: 4711, pidNamespace: 'n', startTime: '5', command: 'create' },
      createdAt: '2026-11-23T02:00:00.000Z',
      renewedAt: '2026-11-23T02:00:00.000Z',
      expiresAt: host === 'gone' ? '2020-01-01T00:00:00.000Z' : '2999-01-01T00:00:00.000Z',
    });

  it('removes what has expired, and what others hold only with --force, after showing it', async () => {
    expect((await workspace.run(['unlock'])).stdout).toBe('Nobody holds the repository.\n');
    await workspace.write('backups/locks/gone.json', lease('gone'));
    await workspace.write('backups/locks/elsewhere.json', lease('elsewhere'));
    expect((await workspace.json<Failure>(['cleanup'], 11)).error.code).toBe('LOCKED');
    const first = await workspace.json<UnlockResult>(['unlock']);
    expect(first.kept).toMatchObject([{ id: 'elsewhere', state: 'elsewhere', pid: 4711 }]);
    expect((await workspace.run(['unlock'])).stdout).toContain('--force');
    const forced = await workspace.run(['unlock', '--force']);
    expect(forced.code).toBe(0);
    expect(forced.stderr).toMatch(/someone may still hold/);
    expect(forced.stderr).toMatch(/create +4711 +elsewhere/);
    expect(forced.stdout).toContain('Removed 1 lock');
    await workspace.json(['cleanup']);
  });
});

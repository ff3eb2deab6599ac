import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { ExportResult, ImportResult } from '@foodsave-backup/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finished, Workspace } from '../testing/workspace.ts';

describe('backups as archives', () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.withData(200);
    await workspace.json(['create', '--name', 'first']);
  });
  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  it('are written beside the configuration, private, and said to be open', async () => {
    const { code, stdout, stderr } = await workspace.run(['export', 'first']);
    expect(code).toBe(0);
    expect(stdout).toContain(`✓ exported  first to ${workspace.path('first.zip')}: 4 files`);
    expect(stderr).toContain('Note: The archive is not encrypted, although the repository is');
    expect((await stat(workspace.path('first.zip'))).mode & 0o777).toBe(0o600);
    execFileSync('unzip', ['-tq', workspace.path('first.zip')]);
  });

  it('are one JSON document of a second export, of the format that the name says', async () => {
    const result = await workspace.json<ExportResult>([
      'export',
      'first',
      '--output',
      'some.tgz',
      '--components',
      'files',
    ]);
    expect(result).toMatchObject({ name: 'first', format: 'tar.gz', file: workspace.path('some.tgz'), files: 2 });
    execFileSync('tar', ['tzf', workspace.path('some.tgz')]);
  });

  it('go into a pipe', async () => {
    const child = workspace.start(['export', 'first', '--format', 'tar.gz', '--output', '-']);
    const pieces: Buffer[] = [];
    child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
    const { code, stderr } = await finished(child);
    expect(code).toBe(0);
    expect(stderr).toContain('✓ exported  first: 4 files');
    await writeFile(workspace.path('piped.tar.gz'), Buffer.concat(pieces));
    execFileSync('tar', ['tzf', workspace.path('piped.tar.gz')]);
  });

  it('are checked, and become backups again', { timeout: 240_000 }, async () => {
    const dry = await workspace.run(['import', 'first.zip', '--dry-run']);
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('✓ ok  the archive is whole: 4 files')]);
    const taken = await workspace.json<{ error: { code: string; hint: string } }>(['import', 'first.zip'], 1);
    expect(taken.error).toMatchObject({ code: 'NAME_TAKEN', hint: expect.stringContaining('--name') as unknown });
    const { backup } = await workspace.json<ImportResult>(['import', 'piped.tar.gz', '--name', 'second']);
    expect(backup).toMatchObject({ name: 'second', trigger: 'import', status: 'complete' });
    await workspace.json(['restore', 'second', '--target', 'restored']);
    expect(await readFile(workspace.path('restored/data/uploads/a.txt'), 'utf8')).toBe('first upload\n');
    const { code } = await workspace.run(['verify', 'second']);
    expect(code).toBe(0);
  });

  it.each<[string, string[], number, string]>([
    ['a backup that is not there', ['export', 'nope'], 1, 'BACKUP_NOT_FOUND'],
    ['a file that is there', ['export', 'first'], 2, 'TARGET_INVALID'],
    ['a place in the repository', ['export', 'first', '--output', 'backups/x.zip'], 2, 'TARGET_INVALID'],
    ['an archive that is not there', ['import', 'nope.zip'], 1, 'SOURCE_MISSING'],
    ['a file that is no archive', ['import', 'backup.yaml'], 1, 'ARCHIVE_INVALID'],
    ['a name that is none', ['import', 'first.zip', '--name', '../x'], 2, 'NAME_INVALID'],
    ['JSON and an archive on one stream', ['export', 'first', '--output', '-'], 2, 'USAGE'],
  ])('%s is refused', async (_what, args, code, error) => {
    const answer = await workspace.json<{ error: { code: string } }>(args, code);
    expect(answer.error.code).toBe(error);
    expect(existsSync(workspace.path('backups/x.zip'))).toBe(false);
    expect((await readdir(workspace.dir)).filter((file) => file.endsWith('.partial'))).toEqual([]);
  });
});

import { mkdirSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workspace } from './testing/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => {
  workspace.remove();
});

function configure(components: string, rest = ''): void {
  workspace.write('backup.yaml', `components:\n  ${components}\n${rest}`);
}

describe('layouts that eat themselves', () => {
  it.each([
    ['files: { include: [.] }', '', 'include[0] of files:main contains the repository'],
    ['files: { include: [./data, ./backups] }', '', 'include[1] of files:main contains the repository'],
    ['files: { include: ["./**"] }', '', 'include[0] of files:main contains the repository'],
    ['files: { include: ./ }', '', 'include of files:main contains the repository'],
    ['files: { include: [/] }', '', 'include[0] of files:main contains the repository'],
    ['files: { a: { include: [data] }, b: { include: [..] } }', '', 'include[0] of files:b contains the repository'],
    ['vector_store: { path: ./backups/vectors }', '', 'path of vector_store:main lies inside the repository'],
    ['database: { path: ./store/app.db }', 'repository: store', 'path of database:main lies inside the repository'],
    ['files: { include: [./state] }', '', 'contains the state directory'],
    ['files: { include: [./secrets] }', 'encryption: { keyFile: ./secrets/key }', 'contains the key file'],
    ['files: { include: [./secrets/key] }', 'encryption: { keyFile: ./secrets/key }', 'contains the key file'],
    ['files: { include: [data] }', 'encryption: { keyFile: ./backups/key }', 'the key file lies inside the repository'],
    ['files: { include: [data] }', 'repository: ./state/backups', 'repository lies inside the state directory'],
    ['files: { include: [data] }', 'repository: .', 'the state directory lies inside the repository'],
    ['files: { include: [data] }', 'logging: { file: ./backups/app.log }', 'logging.file lies inside the repository'],
  ])('%s %s', async (components, rest, reason) => {
    configure(components, rest);
    const error = await workspace.refusal();
    expect(error.message).toContain(reason);
    expect(error.hint).toBeDefined();
  });

  it.each([
    ['files: { include: [./data] }', ''],
    ['files: { include: [./backups2, ./statement] }', ''],
    ['files: { include: ["./*.txt"] }', ''],
    ['config: { include: [./backup.yaml, ./data/config] }', ''],
    ['vector_store: { driver: qdrant, url: "http://127.0.0.1:6333" }', ''],
    ['files: { include: [./secrets] }', 'encryption: { enabled: false }'],
    ['files: { include: [./data/..notes] }', 'repository: ./data/backups'],
  ])('%s %s is fine', async (components, rest) => {
    configure(components, rest);
    await workspace.load();
  });

  it('a symbolic link hides nothing', async () => {
    mkdirSync(workspace.path('real/backups'), { recursive: true });
    symlinkSync('real', workspace.path('alias'));
    configure('files: { include: [./alias] }', 'repository: ./real/backups');
    expect((await workspace.refusal()).message).toContain('contains the repository');
    configure('files: { include: [./real] }', 'repository: ./alias/not/made/yet');
    expect((await workspace.refusal()).message).toContain('contains the repository');
  });

  it('a link that leads to itself is judged by where it lies', async () => {
    symlinkSync('loop', workspace.path('loop'));
    configure('files: { include: [./loop] }');
    await workspace.load();
  });

  it('the file of BACKUP_ENCRYPTION_KEY_FILE is a key file too', async () => {
    workspace.write('data/key', 'CANARY');
    configure('files: { include: [./data] }');
    const error = await workspace.refusal({ env: { BACKUP_ENCRYPTION_KEY_FILE: './data/key' } });
    expect(error.message).toContain('contains the key file');
  });

  it('options and environment are judged with the file', async () => {
    configure('files: { include: [./data] }');
    expect((await workspace.refusal({ repository: './data/x' })).message).toContain('contains the repository');
    expect((await workspace.refusal({ env: { BACKUP_STATE_DIR: './data' } })).message).toContain('contains the state');
  });
});

import { open, rm } from 'node:fs/promises';
import type { BackupView } from '@foodsave-backup/engine';
import { describe, expect, it } from 'vitest';
import { CONFIG, Workspace } from '../testing/workspace.ts';

interface Failure {
  error: { code: string; message: string; hint: string };
}

describe('create when a source is not well', () => {
  it('keeps the rest when the database is missing: partial, exit 3, or 1 if asked', async () => {
    await using workspace = await Workspace.withData(10);
    await rm(workspace.path('data/app.db'));
    const { code, stdout, stderr } = await workspace.run(['create', '--name', 'part']);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^▲ partial {2}part/);
    expect(stderr).toMatch(/✗ database:main failed \[DATABASE_BACKUP_FAILED\]: Database backup failed.*\n→ /);
    const backup = await workspace.json<BackupView>(['create'], 3);
    expect(backup).toMatchObject({ status: 'partial', components: { 'database:main': { status: 'failed' } } });
    await workspace.json(['create', '--fail-on-partial'], 1);
  });

  it('fails, recording nothing, when nothing else was asked for', async () => {
    await using workspace = await Workspace.withData(10);
    await rm(workspace.path('data/app.db'));
    const { error } = await workspace.json<Failure>(['create', '--components', 'database'], 1);
    expect(error.code).toBe('DATABASE_BACKUP_FAILED');
    expect(error.message).toContain('Database backup failed');
    expect(await workspace.json(['list'])).toMatchObject({ total: 0 });
  });

  it('keeps a corrupt database, flagged', async () => {
    await using workspace = await Workspace.withData(5000);
    const file = await open(workspace.path('data/app.db'), 'r+');
    await file.write(Buffer.alloc(3000, 0x5a), 0, 3000, 4096 * 3 + 100);
    await file.close();
    const backup = await workspace.json<BackupView>(['create', '--name', 'corrupt'], 3);
    expect(backup.status).toBe('partial');
    expect(backup.components['database:main']).toMatchObject({ status: 'complete', facts: { corrupt: true } });
    expect((await workspace.run(['restore', 'corrupt', '--components', 'files', '--target', 'out'])).code).toBe(0);
  });

  it('waits a bounded time for a locked database, then says so', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.write(
      'backup.yaml',
      CONFIG.replace('path: ./data/app.db', 'path: ./data/app.db, busyTimeoutMs: 300'),
    );
    const db = workspace.openDatabase();
    try {
      db.exec('BEGIN EXCLUSIVE');
      const { error } = await workspace.json<Failure>(['create', '--components', 'database'], 1);
      expect(error.code).toBe('DATABASE_BACKUP_FAILED');
      expect(error.message).toMatch(/lock/);
    } finally {
      db.close();
    }
    expect((await workspace.run(['create', '--components', 'database'])).code).toBe(0);
  });
});

// It brings a second copy of the classes that the command line has in its bundle.
it('keeps the code of an error of a plugin that imports this software', async () => {
  await using workspace = await Workspace.withData(10);
  const library = (name: string) => JSON.stringify(new URL(`../../../../libs/${name}/dist/index.js`, import.meta.url));
  await workspace.write(
    'mail.mjs',
    `import { defineComponent } from ${library('component')};
import { BackupError } from ${library('kernel')};
export default defineComponent({
  type: 'mail',
  driver: 'box',
  config: () => ({}),
  open: (instance) => ({
    type: 'mail',
    instance,
    livePaths: () => [],
    probe: async () => ({ bytes: 0, entries: 0, summary: 'a box' }),
    openDump: async () => {
      throw new BackupError('SOURCE_LOCKED', 'The box is locked');
    },
  }),
});
`,
  );
  await workspace.write(
    'backup.yaml',
    CONFIG.replace('components:', 'plugins: [./mail.mjs]\ncomponents:\n  mail: { path: ./box }'),
  );
  const { code, stderr } = await workspace.run(['create', '--components', 'mail']);
  expect(code).toBe(1);
  expect(stderr).toContain('mail:main failed [SOURCE_LOCKED]: The box is locked');
});

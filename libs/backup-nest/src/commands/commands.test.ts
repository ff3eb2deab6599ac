import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Backup, BackupPage, RestoreResult, Run, TreeListing, VerifyResult } from '@foodsave-backup/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApplication } from '../testing/application.ts';
import { Workspace } from '../testing/workspace.ts';

let space: Workspace;
let server: TestApplication;

beforeAll(async () => {
  space = new Workspace();
  server = await TestApplication.start(await space.options());
});

afterAll(async () => {
  await server.close();
  space.remove();
});

describe('before the first backup', () => {
  it('health is fine', async () => {
    const answer = await server.ask('GET', '/health');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ status: 'ok', error: {} });
  });

  it('a list says that there is no repository, and what to do', async () => {
    const answer = await server.ask('GET', '/list');
    expect(answer.status).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'REPOSITORY_NOT_FOUND', instance: '/api/v2/backup/list' });
    expect(answer.json<{ hint: string }>().hint).toBeTruthy();
  });

  it('retention tells the policy without a plan', async () => {
    const answer = await server.ask('GET', '/retention');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      policy: { daily: 3, weekly: 0, monthly: 0 },
      timezone: 'Europe/Warsaw',
      overriddenByEnv: [],
      planError: { code: 'REPOSITORY_NOT_FOUND' },
    });
  });
});

describe('a backup from its making to its deletion', () => {
  it('is made, 201, with its address', async () => {
    const answer = await server.ask('POST', '/create?backup_name=first&verify=true');
    expect(answer.status).toBe(201);
    expect(answer.headers['location']).toBe('/api/v2/backup/backups/first');
    const backup = answer.json<Backup>();
    expect(backup).toMatchObject({
      name: 'first',
      status: 'complete',
      trigger: 'manual',
      verification: { level: 'new', status: 'ok' },
      hold: false,
    });
    expect(Object.keys(backup.components)).toEqual(['database:main', 'files:main', 'config:main']);
    const shown = await server.ask('GET', '/backups/first');
    const { tiers, ...same } = shown.json();
    expect(backup).toMatchObject(same);
    expect(tiers).toEqual(['daily']);
  });

  it('a taken name is 409, without regard to case', async () => {
    const answer = await server.ask('POST', '/create', { body: { backup_name: 'FIRST' } });
    expect(answer.status).toBe(409);
    expect(answer.json()).toMatchObject({ code: 'NAME_TAKEN', status: 409 });
  });

  it('is listed, by pages', async () => {
    await server.ask('POST', '/create', { body: { backup_name: 'second', components: ['files'] } });
    const first = (await server.ask('GET', '/list?limit=1')).json<BackupPage>();
    expect(first.items.map((backup) => backup.name)).toEqual(['second']);
    expect(first.total).toBe(2);
    const next = await server.ask('GET', `/list?limit=1&cursor=${first.nextCursor ?? ''}`);
    expect(next.json<BackupPage>().items.map((backup) => backup.name)).toEqual(['first']);
    const filtered = await server.ask('GET', '/list?component=database');
    expect(filtered.json<BackupPage>().items.map((backup) => backup.name)).toEqual(['first']);
  });

  it('its directories can be looked at', async () => {
    const tree = (await server.ask('GET', '/backups/first/tree?path=data/uploads')).json<TreeListing>();
    expect(tree.entries.map(({ path, type }) => [path, type])).toEqual([
      ['data/uploads/photos', 'directory'],
      ['data/uploads/soup.txt', 'file'],
    ]);
    const one = await server.ask('GET', '/backups/first/tree?path=data&component=database');
    expect(one.json<TreeListing>().entries.map((entry) => entry.path)).toEqual(['data/app.db']);
    const missing = await server.ask('GET', '/backups/first/tree?path=nowhere');
    expect([missing.status, missing.json()['code']]).toEqual([404, 'PATH_NOT_FOUND']);
  });

  it('is restored into a directory, relative to the configuration file', async () => {
    const answer = await server.ask('POST', '/restore/first', { body: { target: 'restored', path: 'data/uploads/' } });
    expect(answer.status).toBe(200);
    expect(answer.json<RestoreResult>()).toMatchObject({ name: 'first', dryRun: false, failed: [] });
    expect(readFileSync(space.path('restored/data/uploads/photos/a b.txt'), 'utf8')).toBe('zażółć gęślą jaźń\n');
  });

  it('is restored in place, and that is undone', async () => {
    space.write('data/uploads/soup.txt', 'burnt\n');
    const database = new Database(space.path('data/app.db'));
    database.exec('DELETE FROM recipes');
    database.close();

    const preview = (await server.ask('POST', '/restore/first?dry_run=true')).json<RestoreResult>();
    expect(preview.plan?.['files:main']?.replaced).toContain('data/uploads/soup.txt');
    expect(readFileSync(space.path('data/uploads/soup.txt'), 'utf8')).toBe('burnt\n');

    const restored = (await server.ask('POST', '/restore/first')).json<RestoreResult>();
    expect(restored.undo).toMatch(/^safety_/);
    expect(readFileSync(space.path('data/uploads/soup.txt'), 'utf8')).toBe('tomato soup\n');
    expect(recipes()).toBe(100);

    const undone = await server.ask('POST', '/undo');
    expect(undone.status).toBe(200);
    expect(readFileSync(space.path('data/uploads/soup.txt'), 'utf8')).toBe('burnt\n');
    expect(recipes()).toBe(0);
  });

  it('is verified', async () => {
    const answer = await server.ask('POST', '/verify/first?level=full');
    expect(answer.status).toBe(200);
    const { checkedBytes, ...rest } = answer.json<VerifyResult>();
    expect(rest).toMatchObject({ name: 'first', level: 'full', status: 'ok', damaged: [] });
    expect(checkedBytes).toBeGreaterThan(4096);
    const check = await server.ask('POST', '/check?read_data=true');
    expect(check.json()).toMatchObject({ status: 'ok', damaged: [] });
  });

  it('is counted', async () => {
    const stats = (await server.ask('GET', '/stats')).json();
    expect(stats).toMatchObject({ partial: 0, damaged: 0 });
    expect(stats['backups']).toBeGreaterThanOrEqual(3);
  });

  it('is held, which keeps it from being deleted, and let go of', async () => {
    const held = await server.ask('PUT', '/backups/second/hold', { body: { reason: 'before the migration' } });
    expect(held.status).toBe(200);
    expect(held.json()).toMatchObject({ name: 'second', hold: true, holdReason: 'before the migration' });
    expect((await server.ask('PUT', '/backups/second/hold')).json()).toEqual(held.json());
    const refused = await server.ask('DELETE', '/backups/second');
    expect([refused.status, refused.json()['code']]).toEqual([409, 'BACKUP_HELD']);
    for (const method of ['DELETE', 'DELETE']) {
      const free = await server.ask(method, '/backups/second/hold');
      expect([free.status, free.json()['hold']]).toEqual([200, false]);
    }
    const wrong = await server.ask('PUT', '/backups/second/hold', { body: { reason: 'two\nlines' } });
    expect([wrong.status, wrong.json()['code']]).toEqual([400, 'VALIDATION_FAILED']);
    expect((await server.ask('PUT', '/backups/nowhere/hold')).status).toBe(404);
    expect((await server.ask('POST', '/backups/second/hold')).headers['allow']).toBe('DELETE, PUT');
  });

  it('is deleted', async () => {
    expect((await server.ask('DELETE', '/backups/second')).json()).toMatchObject({ name: 'second' });
    const gone = await server.ask('GET', '/backups/second');
    expect([gone.status, gone.json()['code']]).toEqual([404, 'BACKUP_NOT_FOUND']);
  });

  it('cleanup explains itself, and the preview says the same', async () => {
    const preview = (await server.ask('GET', '/retention')).json<{ plan: { kept: unknown; deleted: unknown } }>();
    const dry = (await server.ask('DELETE', '/cleanup?dry_run=true')).json();
    expect(dry).toMatchObject({ dryRun: true, kept: preview.plan.kept, deleted: preview.plan.deleted });
    const done = await server.ask('DELETE', '/cleanup');
    expect(done.status).toBe(200);
    expect(done.json()).toMatchObject({ dryRun: false, deleted: dry['deleted'] });
  });
});

describe('partial backups and damage', () => {
  it('a backup without its database is 201 and partial', async () => {
    const other = new Workspace();
    const app = await TestApplication.start(await other.options());
    try {
      other.write('data/app.db', 'this is not a database, but it is long enough to be mistaken for one');
      const answer = await app.ask('POST', '/create?backup_name=broken');
      expect(answer.status).toBe(201);
      const backup = answer.json<Backup>();
      expect(backup.status).toBe('partial');
      expect(backup.components['database:main']?.error?.message).toContain('Database backup failed');
      const health = await app.ask('GET', '/health');
      expect(health.status).toBe(503);
      expect(health.json()).toMatchObject({ status: 'error', error: { lastBackup: { status: 'down' } } });
      expect(health.json()).toHaveProperty('info.space');
    } finally {
      await app.close();
      other.remove();
    }
  });

  it('damage is the answer of a verification, 200, and its run has failed', async () => {
    const other = new Workspace();
    const app = await TestApplication.start(await other.options());
    try {
      await app.ask('POST', '/create?backup_name=victim&components=files');
      const { readdirSync, rmSync } = await import('node:fs');
      const packs = readdirSync(other.path('backups/files'), { recursive: true, withFileTypes: true });
      for (const pack of packs) if (pack.isFile()) rmSync(`${pack.parentPath}/${pack.name}`);
      const answer = await app.ask('POST', '/verify/victim');
      expect(answer.status).toBe(200);
      expect(answer.json<VerifyResult>().status).toBe('damaged');
      expect(answer.json<VerifyResult>().damaged.length).toBeGreaterThan(0);
      const { items } = (await app.ask('GET', '/runs?status=failed')).json<{ items: Run[] }>();
      expect(items).toMatchObject([{ command: 'verify', error: { code: 'VERIFICATION_FAILED' } }]);
    } finally {
      await app.close();
      other.remove();
    }
  });
});

describe('what is protected', () => {
  it('each component is looked at', async () => {
    const { items } = (await server.ask('GET', '/components')).json<{ items: Record<string, unknown>[] }>();
    expect(items).toMatchObject([
      { instance: 'database:main', driver: 'sqlite', status: 'up', settings: { path: './data/app.db' } },
      { instance: 'files:main', type: 'files', status: 'up', settings: { include: ['./data/uploads'] } },
      { instance: 'config:main', status: 'up', settings: { include: ['./data/config'], env: ['KITCHEN_MODE'] } },
    ]);
    expect(items[0]?.['summary']).toBeTruthy();
  });

  it('one that is missing is down with its reason, and hides nothing', async () => {
    const other = new Workspace();
    const { rmSync } = await import('node:fs');
    rmSync(other.path('data/app.db'));
    const app = await TestApplication.start(await other.options());
    try {
      const { items } = (await app.ask('GET', '/components')).json<{ items: Record<string, unknown>[] }>();
      expect(items).toMatchObject([
        { instance: 'database:main', status: 'down', error: { code: 'SOURCE_MISSING' } },
        { instance: 'files:main', status: 'up' },
        { instance: 'config:main', status: 'up' },
      ]);
    } finally {
      await app.close();
      other.remove();
    }
  });
});

function recipes(): number {
  const database = new Database(space.path('data/app.db'), { readonly: true });
  try {
    return (database.prepare('SELECT count(*) AS n FROM recipes').get() as { n: number }).n;
  } finally {
    database.close();
  }
}

import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BackupView, CreateResult, RestoreResult, VerifyResult } from '@foodsave-backup/engine';
import { compareTrees, tempDir } from '@foodsave-backup/testing';
import { sampleApplication } from './harness.ts';
import { compareDatabases } from './sqlite.ts';

/** `recover.mjs` has nothing but Node.js, which sets times as floating-point seconds: within a microsecond. */
function sameMicrosecond({ what, a, b }: { what: string; a?: string; b?: string }): boolean {
  if (what !== 'mtime' && what !== 'directory-mtime') return false;
  const difference = BigInt(a ?? 0) - BigInt(b ?? 0);
  return difference < 1000n && difference > -1000n;
}

describe('the sample application comes back from a backup', () => {
  it.each([
    ['encrypted', true],
    ['without encryption', false],
  ])('as it was, %s', async (_words, encryption) => {
    await using temp = await tempDir();
    const app = await sampleApplication(temp.path, { seed: '7', scale: 1 });
    // Excluded from the backup by its name.
    await rm(join(temp.path, 'data/uploads/.upload-7f3a.tmp'));
    const { backup } = await app.must<CreateResult>({ command: 'create', name: 'one', trigger: 'manual', encryption });
    expect(backup).toMatchObject({
      name: 'one',
      status: 'complete',
      verification: { level: 'new', status: 'ok' },
    } satisfies Partial<BackupView>);
    const target = join(temp.path, 'restored');
    const live = join(temp.path, 'data');
    const back = join(target, 'data');
    const result = await app.must<RestoreResult>({ command: 'restore', name: 'one', target });
    expect(result.failed).toEqual([]);
    // Without encryption the secrets of the configuration are redacted, by design.
    const differences = (await compareTrees(live, back)).filter(
      (difference) => encryption || !difference.path.startsWith('config/'),
    );
    expect(differences).toEqual([]);
    const verified = await app.must<VerifyResult>({ command: 'verify', name: 'one', level: 'full' });
    expect(verified).toMatchObject({ status: 'ok', damaged: [] });

    // recover.mjs shares no line with the libraries and is taken from the repository itself.
    const repository = join(temp.path, 'backups');
    const key = encryption ? ['--key-file', app.config.keyFile] : [];
    const recover = (...args: string[]): string =>
      execFileSync(process.execPath, [join(repository, 'recover.mjs'), ...args, ...key], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    expect(recover('list')).toContain('one');
    expect(recover('verify', 'one')).toMatch(/whole|ok|good/i);
    const recovered = join(temp.path, 'recovered');
    recover('restore', 'one', recovered);
    const unlike = (await compareTrees(target, recovered)).filter(
      (difference) => !sameMicrosecond(difference) && difference.path !== '.',
    );
    expect(unlike).toEqual([]);
    expect(compareDatabases(join(live, 'foodsave.db'), join(back, 'foodsave.db'))).toEqual([]);
  });

  it('in place, with a safety backup that undoes it', async () => {
    await using temp = await tempDir();
    const app = await sampleApplication(temp.path, { seed: '8', scale: 1 });
    const database = join(temp.path, 'data/foodsave.db');
    await app.must({ command: 'create', name: 'before', trigger: 'manual' });
    await rm(join(temp.path, 'data/docs'), { recursive: true });
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(database);
    db.exec("UPDATE products SET name = 'nothing'");
    db.close();
    const restored = await app.must<RestoreResult>({ command: 'restore', name: 'before' });
    expect(restored.undo).toMatch(/^safety_/);
    const names = (): unknown => {
      const open = new Database(database, { readonly: true });
      try {
        return open.prepare("SELECT count(*) FROM products WHERE name = 'nothing'").pluck().get();
      } finally {
        open.close();
      }
    };
    expect(names()).toBe(0);
    const { existsSync } = await import('node:fs');
    expect(existsSync(join(temp.path, 'data/docs'))).toBe(true);
    await app.must({ command: 'undo' });
    expect(names()).toBeGreaterThan(0);
  });
});

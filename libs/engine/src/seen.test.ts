import { cp, readdir, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { World } from './testing/world.ts';
import type { CheckView } from './types.ts';

async function world(): Promise<World> {
  const made = await World.create();
  await made.create('first');
  return made;
}

const WARNING = 'STORAGE_ROLLED_BACK';

describe('a storage that was set back to an older, consistent state', () => {
  it('is noticed by health, check and the next backup, which settles it', async () => {
    await using w = await world();
    await cp(w.join('backups'), w.join('older'), { recursive: true });
    await w.write('data/files/a.txt', 'changed\n');
    await w.create('second');
    await rm(w.join('backups'), { recursive: true });
    await cp(w.join('older'), w.join('backups'), { recursive: true });

    const engine = w.another();
    const health = await engine.health();
    expect(health.status).toBe('error');
    expect(health.indicators['lastBackup']).toMatchObject({ status: 'down', code: WARNING });
    expect(health.indicators['lastBackup']?.message).toContain('"second"');
    const check = await w.run({ command: 'check', readData: true }, { engine });
    expect(check.status).toBe('failed');
    expect((check.result as CheckView).damaged).toEqual([
      expect.objectContaining({ kind: 'repository', what: 'newest backup' }),
    ]);

    const next = await w.run({ command: 'create', name: 'third', trigger: 'manual' }, { engine: w.another() });
    expect(next.status).toBe('succeeded');
    expect(next.events.filter((e) => e.type === 'warning').map((e) => e.code)).toContain(WARNING);
    expect((await w.another().health()).status).toBe('ok');
    expect((await w.must<CheckView>({ command: 'check', readData: false }, w.another())).status).toBe('ok');
  });

  it('stays noticed when more is deleted', async () => {
    await using w = await world();
    await w.create('second');
    for (const path of ['backups/second.json', 'backups/manifests/second.json']) await rm(w.join(path));
    const removed = await w.run({ command: 'delete', name: 'first' }, { engine: w.another() });
    expect(removed.events.filter((e) => e.type === 'warning').map((e) => e.code)).toContain(WARNING);
    expect((await w.another().health()).indicators['lastBackup']).toMatchObject({ status: 'down', code: WARNING });
  });

  it('is not suspected of what this machine deleted, nor after the memory is lost', async () => {
    await using w = await world();
    await w.create('second');
    await w.must({ command: 'delete', name: 'second' });
    expect((await w.another().health()).status).toBe('ok');
    await w.create('third');
    expect(await readdir(w.join('state/seen'))).toHaveLength(1);
    await rm(w.join('state'), { recursive: true });
    for (const path of ['backups/third.json', 'backups/manifests/third.json']) await rm(w.join(path));
    expect((await w.another().health()).status).toBe('ok');
  });

  it('is not suspected when this machine deletes its last backup', async () => {
    await using w = await world();
    await w.must({ command: 'delete', name: 'first' });
    expect((await w.another().health()).status).toBe('ok');
  });

  it('is not suspected when another machine made a newer backup and removed the one seen', async () => {
    await using w = await world();
    const elsewhere = w.another({ config: { stateDir: w.join('elsewhere') } });
    await w.must({ command: 'create', name: 'theirs', trigger: 'manual' }, elsewhere);
    await w.must({ command: 'delete', name: 'first' }, elsewhere);
    expect((await w.another().health()).status).toBe('ok');
  });
});

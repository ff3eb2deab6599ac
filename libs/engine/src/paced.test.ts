import { open, stat } from 'node:fs/promises';
import { systemClock, type Clock } from '@foodsave-backup/kernel';
import { createLocalStorage, type StorageBackend } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { noise, World } from './testing/world.ts';
import type { Run } from './run.ts';

const BYTES = 1_500_000;
const create = (name: string) => ({ command: 'create' as const, name, trigger: 'manual' as const });

/** The machine's clock, and how many sleep on it. */
function watchedClock(): Clock & { sleeping: number } {
  return {
    sleeping: 0,
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    async sleep(ms, signal) {
      this.sleeping++;
      try {
        await systemClock.sleep(ms, signal);
      } finally {
        this.sleeping--;
      }
    },
  };
}

describe('a run with limits', () => {
  it.each([['read' as const], ['upload' as const]])('for %s takes the time that its bytes take', async (which) => {
    await using world = await World.create({ config: { limits: { [which]: 1_000_000 } } });
    await world.write('data/files/large.bin', noise('large', BYTES));
    const started = systemClock.monotonic();
    await world.create('one');
    expect(systemClock.monotonic() - started).toBeGreaterThanOrEqual(BYTES / 1000);
    expect((await world.run({ command: 'verify', name: 'one', level: 'full' })).status).toBe('succeeded');
  });

  it('reads files and databases at its rate, holes and an unchanged database for nothing', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    await using world = await World.create({
      kinds: ['database', 'files'],
      clock,
      config: { limits: { read: 100_000 } },
    });
    await world.write('data/files/large.bin', noise('large', BYTES));
    const sparse = await open(world.join('data/files/sparse.bin'), 'w');
    await sparse.truncate(1e9);
    await sparse.close();
    const before = clock.monotonic();
    await world.create('one');
    const database = (await stat(world.join('data/app.db'))).size;
    const first = clock.monotonic() - before;
    expect(first).toBeGreaterThanOrEqual((BYTES + database) / 100);
    // Small files of the sample beside it, and no hole: a GB would take 10,000 s.
    expect(first).toBeLessThan((BYTES + database) / 100 + 1000);
    const again = clock.monotonic();
    await world.must({ ...create('two'), components: ['database'] });
    expect(clock.monotonic() - again).toBeLessThan(1000);
  });

  it('that is cancelled while it waits to read ends then, and nothing waits any more', async () => {
    const clock = watchedClock();
    await using world = await World.create({ clock, config: { limits: { read: 1000 } } });
    await world.write('data/files/large.bin', noise('large', BYTES));
    const ended = await world.run(create('one'), {
      during: (run, event) => {
        if (event.type === 'progress' && event.progress.current?.endsWith('large.bin') === true) {
          setImmediate(() => {
            if (!run.done) run.cancel('test');
          });
        }
      },
    });
    expect(ended).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    expect(clock.sleeping).toBe(0);
    expect((await world.engine.list()).total).toBe(0);
  });

  it('that is cancelled while it uploads ends then, and the next one finds everything as it should be', async () => {
    const clock = watchedClock();
    let run: Run | undefined;
    const storage = (path: string): StorageBackend => {
      const local = createLocalStorage(path);
      const put: StorageBackend['put'] = async (key, body, options) => {
        if (key.endsWith('.pack')) {
          setImmediate(() => {
            if (run?.done === false) run.cancel('test');
          });
        }
        return local.put(key, body, options);
      };
      const { capabilities, location } = local;
      const [get, list, keys] = [local.get.bind(local), local.list.bind(local), local.keys.bind(local)];
      const [stat, remove] = [local.stat.bind(local), local.delete.bind(local)];
      return { capabilities, location, put, get, list, keys, stat, delete: remove, close: () => local.close() };
    };
    await using world = await World.create({ clock, config: { limits: { upload: 1000 } } });
    await world.write('data/files/large.bin', noise('large', BYTES));
    const slow = world.another({ storage: storage(world.join('backups')) });
    const ended = await world.run(create('one'), {
      engine: slow,
      during: (one) => {
        run = one;
      },
    });
    expect(ended).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    expect(clock.sleeping).toBe(0);
    const quick = world.another({ config: { limits: {} } });
    await world.must(create('one'), quick);
    expect((await world.run({ command: 'check', readData: true }, { engine: quick })).status).toBe('succeeded');
  });
});

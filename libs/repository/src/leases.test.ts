import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BackupError, systemClock } from '@foodsave-backup/kernel';
import { createLocalStorage, MemoryStorage, withFaults, type StorageBackend } from '@foodsave-backup/storage';
import { SimulatedClock, withTempDir } from '@foodsave-backup/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LeaseStore, type LeaseRequest, type LeaseView } from './index.ts';
import { keysOf, makeClock } from './testing/backups.ts';

const SHARED: LeaseRequest = { purpose: 'create', exclusive: false, waitMs: 0 };
const EXCLUSIVE: LeaseRequest = { purpose: 'cleanup', exclusive: true, waitMs: 0 };
const LOCKED = { code: 'LOCKED' };
const MINUTE = 60_000;

/** The same objects on a medium that other machines use too. */
function shared(storage: MemoryStorage): StorageBackend {
  return new Proxy(storage, {
    get: (target, property) => {
      if (property === 'capabilities') return { ...target.capabilities, localToMachine: false };
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const leaseOf = (change: object, now = Date.UTC(2026, 10, 23, 4)): Buffer =>
  Buffer.from(
    JSON.stringify({
      format: 'foodsave-backup lease',
      id: 'foreign',
      purpose: 'create',
      exclusive: true,
      owner: { host: 'elsewhere', bootId: 'b', pid: 1, pidNamespace: 'n', startTime: '5', command: 'create' },
      createdAt: new Date(now).toISOString(),
      renewedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + 10 * MINUTE).toISOString(),
      ...change,
    }),
  );

describe('leases', () => {
  it.each([
    ['shared beside shared', SHARED, SHARED, true],
    ['exclusive beside exclusive', EXCLUSIVE, EXCLUSIVE, false],
    ['exclusive beside shared', SHARED, EXCLUSIVE, false],
    ['shared beside exclusive', EXCLUSIVE, SHARED, false],
    [
      'shared beside a shared one it conflicts with',
      SHARED,
      { ...SHARED, purpose: 'restore', conflicts: ['create'] },
      false,
    ],
    ['shared beside a shared one it does not name', SHARED, { ...SHARED, conflicts: ['restore'] }, true],
  ])('%s: allowed %4$s', async (_name, first, second, allowed) => {
    const storage = new MemoryStorage();
    const leases = new LeaseStore(storage, makeClock());
    const held = await leases.acquire(first);
    if (allowed) await (await leases.acquire(second)).release();
    else await expect(leases.acquire(second)).rejects.toMatchObject(LOCKED);
    expect(await keysOf(storage, 'locks/')).toEqual([`locks/${held.id}.json`]);
    await held.release();
    await (await leases.acquire(second)).release();
    expect(await keysOf(storage, 'locks/')).toEqual([]);
  });

  it('stand beside one of the same run', async () => {
    const leases = new LeaseStore(new MemoryStorage(), makeClock());
    const own = await leases.acquire({ ...SHARED, purpose: 'restore' });
    const request = { ...SHARED, conflicts: ['restore'] };
    await expect(leases.acquire(request)).rejects.toMatchObject(LOCKED);
    await (await leases.acquire({ ...request, besideOwn: own.id })).release();
    await own.release();
  });

  it('tell who holds the repository', async () => {
    const leases = new LeaseStore(new MemoryStorage(), makeClock());
    const held = await leases.acquire(EXCLUSIVE);
    const details = { purpose: 'cleanup', pid: process.pid };
    await expect(leases.acquire(SHARED)).rejects.toMatchObject({
      ...LOCKED,
      details,
      message: expect.stringContaining('cleanup') as string,
    });
    expect([
      await leases.isHeld('cleanup'),
      await leases.isHeld('cleanup', held.id),
      await leases.isHeld('create'),
    ]).toEqual([true, false, false]);
    await held.release();
    expect(await leases.isHeld('cleanup')).toBe(false);
  });

  it('wait for others, as long as they are asked to', async () => {
    const clock = new SimulatedClock();
    const leases = new LeaseStore(new MemoryStorage(), clock);
    const held = await leases.acquire(EXCLUSIVE);
    const waiting = leases.acquire({ ...SHARED, waitMs: 5000 });
    await clock.untilSleeping();
    await held.release();
    await clock.advance(1000);
    await (await waiting).release();
  });

  it('go to at most one of ten that ask at once for the repository alone', async () => {
    for (const waitMs of [0, 60_000]) {
      const storage = new MemoryStorage();
      let holders = 0;
      let most = 0;
      let got = 0;
      const ask = async (): Promise<void> => {
        const leases = new LeaseStore(storage, makeClock());
        const lease = await leases.acquire({ ...EXCLUSIVE, waitMs });
        most = Math.max(most, ++holders);
        got++;
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
        await lease.release();
      };
      const results = await Promise.allSettled(Array.from({ length: 10 }, ask));
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject(LOCKED);
      }
      expect(most).toBeLessThanOrEqual(1);
      if (waitMs > 0) expect(got).toBeGreaterThan(0);
      expect(await keysOf(storage, 'locks/')).toEqual([]);
    }
  });
});

describe('a holder on another machine', () => {
  it('counts until its lease expires, and then is removed', async () => {
    const storage = new MemoryStorage();
    const clock = new SimulatedClock();
    const leases = new LeaseStore(shared(storage), clock);
    await storage.put('locks/foreign.json', leaseOf({}));
    await expect(leases.acquire(SHARED)).rejects.toMatchObject(LOCKED);
    await clock.advance(9 * MINUTE);
    await expect(leases.acquire(SHARED)).rejects.toMatchObject(LOCKED);
    await clock.advance(2 * MINUTE);
    const lease = await leases.acquire(EXCLUSIVE);
    expect(await keysOf(storage, 'locks/')).toEqual([`locks/${lease.id}.json`]);
    await lease.release();
  });

  it('counts on a local medium too when it is in another container', async () => {
    const storage = new MemoryStorage();
    await storage.put('locks/foreign.json', leaseOf({}));
    await expect(new LeaseStore(storage, new SimulatedClock()).acquire(SHARED)).rejects.toMatchObject(LOCKED);
  });

  it.each<[string, Buffer]>([
    ['is no JSON', Buffer.from('{')],
    ['is null', Buffer.from('null')],
    ['has no owner', leaseOf({ owner: null })],
    ['has another format', leaseOf({ format: 'x' })],
    ['has no time of expiry', leaseOf({ expiresAt: 'never' })],
  ])('does not count when its lease %s', async (_name, bytes) => {
    const storage = new MemoryStorage();
    await storage.put('locks/foreign.json', bytes);
    await (await new LeaseStore(shared(storage), makeClock()).acquire(EXCLUSIVE)).release();
  });
});

describe('a process that holds a lease', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  async function holder(directory: string): Promise<ChildProcess> {
    const main = fileURLToPath(new URL('./testing/hold-lease.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=@foodsave-backup/source', '--no-warnings', main, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('held\n');
    return child;
  }

  it('keeps others out while it lives, also when it is stopped, and not when it was killed', async () => {
    await withTempDir(async (directory) => {
      const child = await holder(directory);
      const storage = createLocalStorage(directory);
      // Far in the future: a process on this machine is judged by its life alone.
      const leases = new LeaseStore(storage, { ...systemClock, now: () => Date.UTC(2100, 0, 1) });
      await expect(leases.acquire(SHARED)).rejects.toMatchObject({ ...LOCKED, details: { pid: child.pid } });
      child.kill('SIGSTOP');
      await expect(leases.acquire(SHARED)).rejects.toMatchObject(LOCKED);
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      const lease = await leases.acquire(EXCLUSIVE);
      expect(await keysOf(storage, 'locks/')).toEqual([`locks/${lease.id}.json`]);
      await lease.release();
      await storage.close();
    });
  });
});

describe('a storage that fails', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('never lets in two: a lease that cannot be read may be anyone’s', async () => {
    const storage = new MemoryStorage();
    const held = await new LeaseStore(storage, makeClock()).acquire(EXCLUSIVE);
    const faulty = withFaults(storage, { at: 1, operations: ['get'] });
    await expect(new LeaseStore(faulty, makeClock()).acquire(EXCLUSIVE)).rejects.toBeInstanceOf(BackupError);
    await held.release();
  });

  it('leaves no lease behind when it fails during the acquisition, at any call', async () => {
    const storage = new MemoryStorage();
    await storage.put('locks/foreign.json', leaseOf({ exclusive: false }));
    const others = await keysOf(storage, 'locks/');
    for (let at = 1; at <= 5; at++) {
      const faulty = withFaults(storage, { at, operations: ['put', 'list', 'get', 'stat'] });
      const lease = await new LeaseStore(faulty, makeClock()).acquire(SHARED).catch(() => undefined);
      await lease?.release();
      expect(await keysOf(storage, 'locks/'), `call ${at}`).toEqual(others);
    }
  });

  it('has the lease removed later when it cannot be removed now', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const storage = new MemoryStorage();
    const faulty = withFaults(storage, { at: 1, operations: ['delete'] });
    const lease = await new LeaseStore(faulty, makeClock()).acquire(EXCLUSIVE);
    await lease.release();
    expect(await keysOf(storage, 'locks/')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(await keysOf(storage, 'locks/')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('renews its lease every minute, and a renewal under way does not outlive the release', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const clock = new SimulatedClock();
    const storage = new MemoryStorage();
    const lease = await new LeaseStore(storage, clock).acquire(EXCLUSIVE);
    const expiry = async (): Promise<number> => {
      const bytes = await storage.get(`locks/${lease.id}.json`);
      return Date.parse((JSON.parse(Buffer.from(bytes).toString()) as { expiresAt: string }).expiresAt);
    };
    const first = await expiry();
    await clock.advance(MINUTE);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(await expiry()).toBe(first + MINUTE);
    const put = storage.put.bind(storage);
    storage.put = async (...args) => {
      await new Promise((resolve) => setImmediate(resolve));
      return put(...args);
    };
    vi.advanceTimersByTime(MINUTE);
    await lease.release();
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await keysOf(storage, 'locks/')).toEqual([]);
  });

  it('lets a reader of a read-only medium go on without a lease, and nobody else', async () => {
    const storage = new MemoryStorage();
    const error = (): BackupError => new BackupError('REPOSITORY_NOT_WRITABLE', 'read-only');
    const readOnly = withFaults(storage, { at: 1, mode: 'from', operations: ['put', 'delete'], error });
    const leases = new LeaseStore(readOnly, makeClock());
    await (await leases.acquire({ ...SHARED, readOnly: true })).release();
    await expect(leases.acquire(SHARED)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_WRITABLE' });
  });
});

describe('clearing leases', () => {
  it('takes what nobody holds, of others only what is named, and never one of a live process here', async () => {
    const storage = new MemoryStorage();
    const clock = makeClock();
    const leases = new LeaseStore(shared(storage), clock);
    const held = await leases.acquire(SHARED);
    const now = clock.now();
    const self = JSON.parse(Buffer.from(await storage.get(`locks/${held.id}.json`)).toString()) as { owner: object };
    await storage.put('locks/a-dead.json', leaseOf({ owner: { ...self.owner, startTime: '1' } }, now));
    await storage.put('locks/b-expired.json', leaseOf({}, now - 11 * MINUTE));
    await storage.put('locks/c-elsewhere.json', leaseOf({}, now));
    await storage.put('locks/d-malformed.json', Buffer.from('{ "half": '));
    // Its own clock has stood still, but its process lives.
    await storage.put('locks/e-asleep.json', leaseOf({ owner: self.owner }, now - 60 * MINUTE));
    const states = (views: readonly LeaseView[]) => Object.fromEntries(views.map(({ id, state }) => [id, state]));
    expect(states(await leases.list())).toEqual({
      [held.id]: 'alive',
      'a-dead': 'dead',
      'b-expired': 'expired',
      'c-elsewhere': 'elsewhere',
      'd-malformed': 'malformed',
      'e-asleep': 'alive',
    });
    const first = await leases.clear();
    expect(states(first.removed)).toEqual({ 'a-dead': 'dead', 'b-expired': 'expired', 'd-malformed': 'malformed' });
    expect(first.kept.find(({ id }) => id === 'c-elsewhere')).toMatchObject({ host: 'elsewhere', pid: 1 });
    const forced = await leases.clear(['c-elsewhere', 'e-asleep', held.id]);
    expect(states(forced.removed)).toEqual({ 'c-elsewhere': 'elsewhere' });
    expect(states(forced.kept)).toEqual({ 'e-asleep': 'alive', [held.id]: 'alive' });
    await held.release();
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@foodsave-backup/kernel';
import { BackupError, RateLimit } from '@foodsave-backup/kernel';
import type { ConformanceMedium } from './conformance/index.ts';
import { storageConformance } from './conformance/index.ts';
import {
  createLocalStorage,
  MemoryStorage,
  withConcurrencyLimit,
  withFaults,
  withReadLimit,
  withRetry,
  withUploadLimit,
} from './index.ts';
import type { StorageBackend } from './index.ts';

const instant: Clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };

async function localMedium(): Promise<ConformanceMedium & { dispose: () => Promise<void> }> {
  const parent = await mkdtemp(join(tmpdir(), 'storage-'));
  const root = join(parent, 'made', 'on-demand');
  return {
    backend: createLocalStorage(root),
    reopen: () => Promise.resolve(createLocalStorage(root)),
    dispose: () => rm(parent, { recursive: true, force: true }),
  };
}

function decorated(decorate: (backend: StorageBackend) => StorageBackend): () => Promise<ConformanceMedium> {
  return async () => {
    const { backend, dispose } = await localMedium();
    return { backend: decorate(backend), dispose };
  };
}

/** Every third operation fails in a way that passes, so that the contract is kept by retries alone. */
function flaky(when: 'before' | 'after'): Promise<ConformanceMedium> {
  const error = (): BackupError => new BackupError('IO_ERROR', 'Connection reset', { details: { transient: true } });
  const faulty = withFaults(new MemoryStorage(), { at: 3, mode: 'every', when, error });
  return Promise.resolve({
    backend: withRetry(faulty, { clock: instant, attempts: 50, baseMs: 1, maxMs: 1, random: () => 0 }),
  });
}

storageConformance('local', localMedium);
storageConformance('memory', () => Promise.resolve({ backend: new MemoryStorage() }));
storageConformance('retry over a memory that fails', () => flaky('before'));
storageConformance('retry over a memory whose answers get lost', () => flaky('after'));
storageConformance(
  'limits over local',
  decorated((backend) => withReadLimit(withConcurrencyLimit(backend, 3), 1)),
);
storageConformance('a limit of one over memory', () =>
  Promise.resolve({ backend: withConcurrencyLimit(new MemoryStorage(), 1) }),
);
storageConformance(
  'an upload limit over local',
  decorated((backend) => {
    let now = 0;
    const sleep = async (ms: number): Promise<void> => {
      now += ms;
    };
    const limit = new RateLimit(1000, { now: () => now, monotonic: () => now, sleep });
    return withUploadLimit(backend, { limit, signal: new AbortController().signal, exempt: () => false });
  }),
);

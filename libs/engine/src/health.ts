import { toBackupError } from '@foodsave-backup/kernel';
import { allBackups } from './queries.ts';
import { openRepository, whatIsThere } from './opened.ts';
import { rolledBack } from './seen.ts';
import type { BackupView, EngineDeps, HealthIndicator, HealthView } from './types.ts';

const FREE_LOW_BYTES = 64 * 1024 * 1024;
/** A new backup settles it: the state of the storage is then known again. */
const ROLLED_BACK_HINT =
  'Find out who deleted it or set the storage back. If that was intended, take a new backup: it is the newest from then on.';
const PROBE_KEY = 'locks/health-probe';

/** One indicator each; one that throws is down with its reason and does not hide the others. */
export async function health(deps: EngineDeps): Promise<HealthView> {
  const indicators: Record<string, HealthIndicator> = {};
  const add = async (name: string, look: () => Promise<HealthIndicator>): Promise<void> => {
    try {
      indicators[name] = await look();
    } catch (error) {
      const { code, message, hint } = toBackupError(error);
      indicators[name] = { status: 'down', message, code, ...(hint === undefined ? {} : { hint }) };
    }
  };
  const found = await whatIsThere(deps).catch(() => 'foreign' as const);
  await add('repository', () => repositoryIndicator(deps, found));
  await add('space', () => spaceIndicator(deps));
  if (found === 'repository') {
    let backups: BackupView[] | undefined;
    const look = async (): Promise<BackupView[]> => (backups ??= await allBackups(deps, await openRepository(deps)));
    await add('lastBackup', async () => {
      const gone = await rolledBack(deps, await openRepository(deps));
      if (gone === undefined) return lastBackupIndicator(deps, await look());
      return { status: 'down', message: gone, code: 'STORAGE_ROLLED_BACK', hint: ROLLED_BACK_HINT };
    });
    await add('verification', async () => verificationIndicator(await look()));
  } else {
    indicators['lastBackup'] = { status: 'up', message: 'No backup yet, and none is overdue', backups: 0 };
    indicators['verification'] = { status: 'up', message: 'Nothing to verify yet' };
  }
  const down = Object.values(indicators).some((indicator) => indicator.status === 'down');
  return { status: down ? 'error' : 'ok', indicators };
}

async function repositoryIndicator(deps: EngineDeps, found: string): Promise<HealthIndicator> {
  const { location } = deps.storage;
  if (found === 'empty')
    return { status: 'up', message: `There is no repository at ${location} yet; the first backup makes it` };
  const repository = await openRepository(deps);
  await deps.storage.put(PROBE_KEY, Buffer.from('probe\n'));
  await deps.storage.delete(PROBE_KEY);
  return { status: 'up', message: 'It opens and can be written', location, encrypted: repository.info.encrypted };
}

async function spaceIndicator(deps: EngineDeps): Promise<HealthIndicator> {
  const free = await deps.freeBytes();
  if (free === undefined) return { status: 'up', message: 'The medium does not tell how much space is left' };
  const low = free < FREE_LOW_BYTES;
  return {
    status: low ? 'down' : 'up',
    message: low ? 'Almost no space is left' : 'There is space left',
    freeBytes: free,
  };
}

function lastBackupIndicator(deps: EngineDeps, backups: readonly BackupView[]): HealthIndicator {
  const damaged = backups.filter((b) => b.status === 'damaged');
  const newest = backups.find((b) => b.status === 'complete' && b.trigger !== 'safety');
  const base = { backups: backups.length, damaged: damaged.length };
  if (damaged.length > 0) {
    return {
      status: 'down',
      message: `${damaged.length} damaged: ${damaged
        .slice(0, 3)
        .map((b) => b.name)
        .join(', ')}`,
      ...base,
    };
  }
  if (newest === undefined) {
    return backups.length === 0
      ? { status: 'up', message: 'No backup yet, and none is overdue', ...base }
      : { status: 'down', message: 'There is no complete backup', ...base };
  }
  const ageSeconds = Math.max(0, Math.round((deps.clock.now() - Date.parse(newest.createdAt)) / 1000));
  return {
    status: 'up',
    message: `The newest complete backup is ${newest.name}`,
    name: newest.name,
    at: newest.createdAt,
    ageSeconds,
    ...base,
  };
}

function verificationIndicator(backups: readonly BackupView[]): HealthIndicator {
  const [newest] = backups;
  if (newest === undefined) return { status: 'up', message: 'Nothing to verify yet' };
  const { level, status, at } = newest.verification;
  const words = {
    none: 'The newest backup was not verified',
    new: 'The new data of the newest backup was verified',
    quick: 'The newest backup was verified by presence and size',
    full: 'All data of the newest backup was verified',
  };
  const message = status === 'damaged' ? 'The newest backup is damaged' : words[level];
  return { status: status === 'damaged' ? 'down' : 'up', message, level, ...(at === undefined ? {} : { at }) };
}

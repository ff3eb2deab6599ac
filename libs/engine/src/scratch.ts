import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackupError, newId, type Clock } from '@foodsave-backup/kernel';
import { isAlive, thisProcess, type LeaseOwner } from '@foodsave-backup/repository';

/** Of an engine, or of a server that takes in files. */
export interface ScratchPlace {
  config: { stateDir: string };
  clock: Clock;
}

const OWNER = 'owner.json';
const UNKNOWN_MS = 24 * 3_600_000;

/** A private directory (0700) for one run, removed afterwards whatever happens; what runs that were killed left goes first. */
export async function withScratch<T>(deps: ScratchPlace, work: (directory: string) => Promise<T>): Promise<T> {
  const parent = join(deps.config.stateDir, 'scratch');
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeAbandoned(deps, parent);
  const directory = join(parent, newId(deps.clock));
  await mkdir(directory, { mode: 0o700 });
  try {
    await writeFile(join(directory, OWNER), JSON.stringify(thisProcess('scratch')), { mode: 0o600 });
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Plain copies of the application's data must not outlive the process that made them. */
async function removeAbandoned(deps: ScratchPlace, parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const directory = join(parent, name);
    let alive: boolean | undefined;
    try {
      alive = isAlive(JSON.parse(await readFile(join(directory, OWNER), 'utf8')) as LeaseOwner);
    } catch {
      alive = undefined;
    }
    // Of another container nobody here knows whether it lives: its age decides, which its name tells.
    if (alive === false || (alive === undefined && isOlder(name, newId(deps.clock), UNKNOWN_MS))) {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** Whether one sortable id (kernel's `newId`) was made `ms` before another. */
function isOlder(id: string, than: string, ms: number): boolean {
  const time = (text: string): number =>
    Array.from(text.slice(0, 10), (c) => DIGITS.indexOf(c)).reduce((sum, digit) => sum * 32 + digit, 0);
  return time(than) - time(id) > ms;
}

/** Throws NO_SPACE unless `bytes` fit where `path` will be. */
export async function assertSpaceAt(path: string, bytes: number): Promise<void> {
  for (let at = path; ; at = dirname(at)) {
    const stats = await statfs(at).catch(() => undefined);
    if (stats === undefined && at !== dirname(at)) continue;
    const free = stats === undefined ? Infinity : stats.bavail * stats.bsize;
    if (free >= bytes) return;
    throw new BackupError('NO_SPACE', `${bytes} bytes are needed at ${path} and ${free} are free`, {
      hint: 'Free some space or choose another directory. Nothing was written.',
    });
  }
}

import { createHash, randomBytes } from 'node:crypto';
import { lstat, opendir, readFile, readlink, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@foodsave-backup/kernel';
import { systemErrorCode } from '@foodsave-backup/kernel';
import { TEMPORARY_PREFIX } from '../keys.ts';

const TEMPORARY = /^\.tmp-([0-9a-f]{12})-([0-9]+)-[0-9a-f]{16}$/;
/** No put takes a day, and one that did would fail at its rename and leave nothing. */
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;

/**
 * Names this process's unfinished puts and finds those that dead processes left. A name tells the machine (boot and pid
 * namespace, hashed) and the process, because a pid says nothing about another machine that shares the directory.
 */
export class TemporaryFiles {
  readonly #clock: Clock;
  #machine: Promise<string> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async newName(): Promise<string> {
    this.#machine ??= machineToken();
    return `${TEMPORARY_PREFIX}${await this.#machine}-${process.pid}-${randomBytes(8).toString('hex')}`;
  }

  /**
   * Removes from `directory` the temporary files of processes of this machine that are gone, and any that is older than a
   * day. Best effort: a file that stays costs space and nothing else.
   */
  async removeStale(directory: string): Promise<void> {
    this.#machine ??= machineToken();
    const machine = await this.#machine;
    try {
      for await (const entry of await opendir(directory)) {
        const match = TEMPORARY.exec(entry.name);
        if (!match) continue;
        const path = join(directory, entry.name);
        const orphan = match[1] === machine && !isAlive(Number(match[2]));
        if (orphan || (await this.#isAbandoned(path))) await unlink(path).catch(() => undefined);
      }
    } catch {
      // A directory that cannot be read here fails the put itself with a better message.
    }
  }

  async #isAbandoned(path: string): Promise<boolean> {
    try {
      return this.#clock.now() - (await lstat(path)).mtimeMs > ABANDONED_AFTER_MS;
    } catch {
      return false;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== 'ESRCH';
  }
}

async function machineToken(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => hostname());
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return createHash('sha256').update(`${boot}\n${namespace}`).digest('hex').slice(0, 12);
}

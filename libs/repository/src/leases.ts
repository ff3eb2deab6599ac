import { BackupError, newId, type Clock } from '@foodsave-backup/kernel';
import type { StorageBackend } from '@foodsave-backup/storage';
import { isAlive, thisProcess, type LeaseOwner } from './owner.ts';

const FORMAT = 'foodsave-backup lease';
const LEASE_MS = 10 * 60_000;
const RENEW_MS = 60_000;
const RETRY_MS = 250;

interface LeaseFile {
  format: string;
  id: string;
  purpose: string;
  exclusive: boolean;
  owner: LeaseOwner;
  createdAt: string;
  renewedAt: string;
  expiresAt: string;
}

export interface Lease {
  readonly id: string;
  release(): Promise<void>;
}

export interface LeaseRequest {
  /** What a person is told who finds the repository locked: `create`, `cleanup`, … */
  purpose: string;
  /** Alone, or beside other shared ones. */
  exclusive: boolean;
  /** Purposes of shared leases that this one cannot stand beside; those name it too, as either may come first. */
  conflicts?: readonly string[];
  /** A lease of this very run, which is no conflict. */
  besideOwn?: string;
  /** How long to wait for others, in ms. */
  waitMs: number;
  /** A reader of a read-only medium goes on without a lease. */
  readOnly?: boolean;
}

/**
 * Leases under `locks/`, so that processes that share a repository keep out of each other's way. A holder on this machine is
 * judged by its process, never by the clock; a holder elsewhere by its expiry.
 */
export class LeaseStore {
  readonly #storage: StorageBackend;
  readonly #clock: Clock;

  constructor(storage: StorageBackend, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Throws LOCKED, naming the holder, when others hold the repository for longer than `waitMs`. */
  async acquire(request: LeaseRequest): Promise<Lease> {
    const deadline = this.#clock.monotonic() + request.waitMs;
    for (;;) {
      const id = newId(this.#clock);
      let rival: LeaseFile | undefined;
      try {
        await this.#write(id, request, new Date(this.#clock.now()).toISOString());
        rival = await this.#rival(id, request);
      } catch (error) {
        const refused = error instanceof BackupError && error.code === 'REPOSITORY_NOT_WRITABLE';
        if (refused && request.readOnly === true) return { id, release: () => Promise.resolve() };
        await this.#remove(id);
        throw error;
      }
      if (rival === undefined) return this.#hold(id, request);
      await this.#remove(id);
      if (this.#clock.monotonic() >= deadline) throw locked(rival);
      await this.#clock.sleep(RETRY_MS * (0.5 + Math.random()));
    }
  }

  #hold(id: string, request: LeaseRequest): Lease {
    const createdAt = new Date(this.#clock.now()).toISOString();
    let renewal: Promise<unknown> = Promise.resolve();
    // A renewal that fails is tried again at the next tick; the lease is long enough for several.
    const timer = setInterval(() => {
      renewal = this.#write(id, request, createdAt).catch(() => undefined);
    }, RENEW_MS);
    timer.unref();
    return {
      id,
      release: async () => {
        clearInterval(timer);
        // One that is under way would put the lease back after it was removed.
        await renewal;
        await this.#remove(id);
      },
    };
  }

  /** As long as this process lives, others take its lease for a live one: a removal that fails is tried again until it works. */
  async #remove(id: string): Promise<void> {
    const remove = (): Promise<void> => this.#storage.delete(`locks/${id}.json`);
    try {
      await remove();
    } catch {
      const timer = setInterval(
        () =>
          void remove().then(
            () => clearInterval(timer),
            () => undefined,
          ),
        RENEW_MS,
      );
      timer.unref();
    }
  }

  async #write(id: string, request: LeaseRequest, createdAt: string): Promise<void> {
    const now = this.#clock.now();
    const lease: LeaseFile = {
      format: FORMAT,
      id,
      purpose: request.purpose,
      exclusive: request.exclusive,
      owner: thisProcess(request.purpose),
      createdAt,
      renewedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + LEASE_MS).toISOString(),
    };
    await this.#storage.put(`locks/${id}.json`, Buffer.from(`${JSON.stringify(lease, null, 2)}\n`));
  }

  async #rival(ownId: string, request: LeaseRequest): Promise<LeaseFile | undefined> {
    for await (const object of this.#storage.list('locks/')) {
      const lease = await this.#read(object.key);
      if (lease === undefined || lease.id === ownId || lease.id === request.besideOwn) continue;
      if (this.#isDead(lease)) {
        await this.#storage.delete(object.key);
        continue;
      }
      if (request.exclusive || lease.exclusive || request.conflicts?.includes(lease.purpose) === true) return lease;
    }
    return undefined;
  }

  /** A malformed lease is none: it is small, and written in one piece. One that cannot be read may be anyone's, and throws. */
  async #read(key: string): Promise<LeaseFile | undefined> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#storage.get(key);
    } catch (error) {
      if ((await this.#storage.stat(key)) === undefined) return undefined;
      throw error;
    }
    try {
      const lease = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<LeaseFile> | null;
      const { format, owner }: { format?: unknown; owner?: unknown } = lease ?? {};
      return format === FORMAT && typeof owner === 'object' && owner !== null ? (lease as LeaseFile) : undefined;
    } catch {
      return undefined;
    }
  }

  #isDead(lease: LeaseFile): boolean {
    const alive = this.#storage.capabilities.localToMachine ? isAlive(lease.owner) : undefined;
    if (alive !== undefined) return !alive;
    return !(Date.parse(lease.expiresAt) >= this.#clock.now());
  }

  /** Whether someone who is alive holds a lease for this purpose. */
  async isHeld(purpose: string, exceptId?: string): Promise<boolean> {
    for await (const object of this.#storage.list('locks/')) {
      const lease = await this.#read(object.key);
      if (lease?.purpose === purpose && lease.id !== exceptId && !this.#isDead(lease)) return true;
    }
    return false;
  }
}

function locked(holder: LeaseFile): BackupError {
  const { owner } = holder;
  return new BackupError(
    'LOCKED',
    `The repository is in use: "${holder.purpose}" by process ${owner.pid} on ${owner.host} since ${holder.createdAt}`,
    {
      hint: 'Wait for it to finish and try again. A holder that has died is noticed by itself.',
      details: { purpose: holder.purpose, pid: owner.pid, host: owner.host, since: holder.createdAt },
    },
  );
}

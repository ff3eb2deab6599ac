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
  /**
   * Throws LOCKED when the lease is no longer held: it was removed, or expired and others came. Called right before each
   * step that cannot be taken back; what was stopped in between is safe by the order of writes, not by the lease.
   */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

/** Of a reader that goes on without one. */
export const NO_LEASE: Lease = {
  id: '',
  assertHeld: () => Promise.resolve(),
  release: () => Promise.resolve(),
};

/**
 * `alive`: its process runs on this machine. `elsewhere`: it cannot be looked at from here, and has not expired. `dead`: its
 * process is gone. `expired`: it cannot be looked at, and was not renewed in time. `malformed`: it keeps nobody out.
 */
export type LeaseState = 'alive' | 'elsewhere' | 'dead' | 'expired' | 'malformed';

export interface LeaseView {
  id: string;
  state: LeaseState;
  purpose: string;
  exclusive: boolean;
  host: string;
  pid: number;
  /** ISO 8601; empty in a malformed one, like every text. */
  createdAt: string;
  expiresAt: string;
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
        if (refused && request.readOnly === true) return NO_LEASE;
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
    const held = { lost: false, expiresAt: this.#clock.now() + LEASE_MS };
    const key = `locks/${id}.json`;
    // Never puts back what someone removed: who was stopped for long may find that others went on without it.
    const look = async (renew: boolean): Promise<void> => {
      const expired = this.#clock.now() >= held.expiresAt;
      held.lost ||= (await this.#storage.stat(key)) === undefined;
      if (held.lost || !(renew || expired)) return;
      held.expiresAt = await this.#write(id, request, createdAt);
      // Nobody but others could know that it had expired: whoever did has a lease of its own by now, or sees this one.
      if (expired && (await this.#rival(id, request)) !== undefined) held.lost = true;
      if (held.lost) await this.#remove(id);
    };
    let last: Promise<unknown> = Promise.resolve();
    const queue = (renew: boolean): Promise<void> => {
      const next = last.then(() => look(renew));
      last = next.catch(() => undefined);
      return next;
    };
    // A renewal that fails is tried again at the next tick; the lease is long enough for several.
    const timer = setInterval(() => {
      void queue(true).catch(() => undefined);
    }, RENEW_MS);
    timer.unref();
    return {
      id,
      assertHeld: async () => {
        await queue(false);
        if (held.lost) throw lostLease(request.purpose);
      },
      release: async () => {
        clearInterval(timer);
        // One that is under way would put the lease back after it was removed.
        await last;
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

  /** Returns when it expires, in ms since the epoch. */
  async #write(id: string, request: LeaseRequest, createdAt: string): Promise<number> {
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
    return now + LEASE_MS;
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

  /** Every lease there is, oldest first, and what is known of its holder. */
  async list(): Promise<LeaseView[]> {
    const views: LeaseView[] = [];
    for await (const { key } of this.#storage.list('locks/')) {
      if (!key.endsWith('.json')) continue;
      const lease = await this.#read(key);
      // Released meanwhile.
      if (lease === undefined && (await this.#storage.stat(key)) === undefined) continue;
      views.push(this.#view(key.slice('locks/'.length, -'.json'.length), lease));
    }
    return views.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #view(id: string, lease: LeaseFile | undefined): LeaseView {
    if (lease === undefined) {
      const unknown = { purpose: '', exclusive: false, host: '', pid: 0, createdAt: '', expiresAt: '' };
      return { id, state: 'malformed', ...unknown };
    }
    const { owner } = lease;
    const alive = isAlive(owner);
    const seen = alive ?? (this.#isDead(lease) ? 'expired' : 'elsewhere');
    const state = seen === true ? 'alive' : seen === false ? 'dead' : seen;
    return {
      ...{ id, state, purpose: textOf(lease.purpose), exclusive: lease.exclusive },
      ...{ host: textOf(owner.host), pid: Number.isSafeInteger(owner.pid) ? owner.pid : 0 },
      ...{ createdAt: textOf(lease.createdAt), expiresAt: textOf(lease.expiresAt) },
    };
  }

  /**
   * Removes the leases that nobody holds any more and, of those whose holder cannot be looked at from here, the ones that
   * `force` names. Never one of a process that is alive on this machine.
   */
  async clear(force: readonly string[] = []): Promise<{ removed: LeaseView[]; kept: LeaseView[] }> {
    const removed: LeaseView[] = [];
    const kept: LeaseView[] = [];
    for (const lease of await this.list()) {
      const held = lease.state === 'alive' || (lease.state === 'elsewhere' && !force.includes(lease.id));
      if (!held) await this.#storage.delete(`locks/${lease.id}.json`);
      (held ? kept : removed).push(lease);
    }
    return { removed, kept };
  }

  /** Whether someone who is alive holds a lease for this purpose. */
  async isHeld(purpose: string, exceptId?: string): Promise<boolean> {
    return (await this.holders(purpose)).some(({ id }) => id !== exceptId);
  }

  /** The leases for this purpose whose holders are alive, as far as can be known. */
  async holders(purpose: string): Promise<LeaseView[]> {
    const held: LeaseView[] = [];
    for await (const object of this.#storage.list('locks/')) {
      const lease = await this.#read(object.key);
      if (lease?.purpose === purpose && !this.#isDead(lease)) held.push(this.#view(lease.id, lease));
    }
    return held;
  }
}

/** Nobody has checked what stands in a lease. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function lostLease(purpose: string): BackupError {
  return new BackupError(
    'LOCKED',
    `This run ("${purpose}") has lost its lease: it stood still and was taken for dead`,
    {
      hint: 'Nothing was left half done. Run it again.',
      details: { purpose, lost: true },
    },
  );
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

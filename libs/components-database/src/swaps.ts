import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SwapRecovery, SwapState, SwapTicket } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import { SqliteChild } from './child/client.ts';
import { isSameFile, statIfThere } from './child/files.ts';
import type { PreparedReplace, Prints } from './child/protocol.ts';
import { overwritePrint } from './child/replace.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { removeDatabase, SIDECARS, stagingPath } from './staging.ts';

export interface DatabaseTicket extends PreparedReplace {
  /** Absolute, without symbolic links, like the others. */
  live: string;
  staged: string;
  /** Where a renamed database and what stood beside it stay. */
  aside: string;
}

export function toTicket(ticket: DatabaseTicket): SwapTicket {
  return { ...ticket, inPlace: ticket.method === 'overwrite' };
}

/** Settles replacements of one database whose process died. */
export class DatabaseSwaps implements SwapRecovery {
  private readonly source: SqliteSource;

  constructor(source: SqliteSource) {
    this.source = source;
  }

  async look(value: SwapTicket, committed: boolean): Promise<SwapState> {
    const ticket = parseTicket(value);
    const now = await this.withChild((child) => child.call('print', { path: ticket.live }));
    return ticket.method === 'rename' ? lookRenamed(ticket, now) : this.lookOverwritten(ticket, now, committed);
  }

  async finish(value: SwapTicket): Promise<void> {
    if ((await this.look(value, false)).moved === 'all') return;
    await this.replace(parseTicket(value));
  }

  async undo(value: SwapTicket): Promise<boolean> {
    const ticket = parseTicket(value);
    const { live, staged, aside, method } = ticket;
    const { moved } = await this.look(value, false);
    if (method === 'overwrite') return moved === 'nothing';
    if (moved === 'some') return false;
    if (moved === 'all' && ticket.was === undefined) {
      await this.withChild((child) => child.call('retract', { live, staged }));
      return true;
    }
    if (moved === 'all') {
      // No hard links there, or it is undone already and somebody has put another one in its place.
      if ((await statIfThere(aside)) === undefined) return false;
      const again = stagingPath(live);
      try {
        await this.replace({ live, staged: aside, aside: again });
      } finally {
        await removeDatabase(again);
      }
    }
    for (const suffix of SIDECARS) {
      const there = (await statIfThere(live + suffix)) !== undefined;
      if (!there && (await statIfThere(aside + suffix)) !== undefined) await rename(aside + suffix, live + suffix);
    }
    return true;
  }

  async clean(value: SwapTicket): Promise<void> {
    const { staged, aside } = parseTicket(value);
    await removeDatabase(staged);
    await removeDatabase(aside);
  }

  async keep(value: SwapTicket): Promise<string[]> {
    const { live, aside } = parseTicket(value);
    const [old, now] = [await statIfThere(aside), await statIfThere(live)];
    // A second name of the live file keeps nothing.
    if (old === undefined || (old.ino === now?.ino && old.dev === now.dev)) return [];
    const kept = `${live}.before-restore-${randomBytes(4).toString('hex')}`;
    for (const suffix of ['', ...SIDECARS]) {
      if ((await statIfThere(aside + suffix)) !== undefined) await rename(aside + suffix, kept + suffix);
    }
    return [kept];
  }

  private async replace({ live, staged, aside }: Pick<DatabaseTicket, 'live' | 'staged' | 'aside'>): Promise<void> {
    await this.withChild(async (child) => {
      const { busyTimeoutMs } = this.source.settings;
      await child.call('prepareReplace', { live, staged, aside, busyTimeoutMs });
      await child.call('replace', {});
    });
  }

  /**
   * The schema version tells whether the transaction of the backup API was committed, as it is one more then; that alone could
   * also be a change of the schema by the application, so the pages are compared too.
   */
  private async lookOverwritten(ticket: DatabaseTicket, now: Prints, committed: boolean): Promise<SwapState> {
    const { live, staged, was, schemaVersion } = ticket;
    if (!committed && overwritePrint(now) === was) return { moved: 'nothing', finishLoses: false, undoLoses: false };
    const { context, settings } = this.source;
    const directory = await mkdtemp(join(context.scratchDir, 'sqlite-'));
    try {
      const snapshot = join(directory, 'snapshot.db');
      const { busyTimeoutMs } = settings;
      const found = await this.withChild((child) => child.call('compare', { live, staged, snapshot, busyTimeoutMs }));
      if (found.same) return { moved: 'all', finishLoses: false, undoLoses: false };
      if (committed) return { moved: 'all', finishLoses: false, undoLoses: true };
      const untouched = found.schemaVersion === schemaVersion;
      return { moved: untouched ? 'nothing' : 'some', finishLoses: true, undoLoses: true };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  private async withChild<T>(use: (child: SqliteChild) => Promise<T>): Promise<T> {
    const { context, binding } = this.source;
    const child = new SqliteChild({ binding, scratchDir: context.scratchDir });
    try {
      return await use(child);
    } finally {
      child.close();
    }
  }
}

/** A rename keeps inode, size and time; whoever writes leaves another time, or a log that is not empty. */
function lookRenamed({ was, is }: DatabaseTicket, { database, log }: Prints): SwapState {
  if (isSameFile(database, is)) {
    return { moved: 'all', finishLoses: false, undoLoses: database !== is || log !== undefined };
  }
  const asBefore = database === undefined ? was === undefined : isSameFile(database, was);
  const altered = database !== was || log !== undefined;
  return { moved: asBefore ? 'nothing' : 'some', finishLoses: altered, undoLoses: altered && !asBefore };
}

function parseTicket(value: SwapTicket): DatabaseTicket {
  const { live, staged, aside, method, is, was, schemaVersion } = value;
  const paths = [live, staged, aside].every((path) => typeof path === 'string' && path.startsWith('/'));
  if (!paths || (method !== 'rename' && method !== 'overwrite') || typeof is !== 'string') {
    throw new BackupError('INTERNAL', 'The journal of a restore says nothing useful about a database');
  }
  return {
    live: String(live),
    staged: String(staged),
    aside: String(aside),
    method,
    is,
    ...(typeof was === 'string' ? { was } : {}),
    ...(typeof schemaVersion === 'number' ? { schemaVersion } : {}),
  };
}

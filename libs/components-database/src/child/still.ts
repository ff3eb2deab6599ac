import { realpath } from 'node:fs/promises';
import { systemClock } from '@foodsave-backup/kernel';
import type { SqliteBinding } from './binding.ts';
import { lookAt } from './capture.ts';
import type { SqliteHeader } from '../header.ts';
import { fingerprint, hashFile, isCoarse, sameStates, type Fingerprint } from './files.ts';
import type { PageServer } from './page-server.ts';
import type { ChildOperations } from './protocol.ts';

interface Found {
  /** Without symbolic links. */
  source: string;
  before: Fingerprint;
  header: SqliteHeader;
  bytes: number;
}
type Opened = ChildOperations['openStill']['response'];

/** Longer than the clock tick of any file system whose times are finer than a second, in milliseconds. */
const TICK_MS = 25;

/**
 * A database that is read where it lies because nobody writes it: no copy is made. Every write changes the times of a file, and
 * every transaction a log or a journal; whoever read asks `isStill` afterwards, and throws away what was read when it is not.
 * No lock is held meanwhile, so that no writer waits.
 */
export class StillSource {
  private readonly binding: SqliteBinding;
  private readonly pages: PageServer;
  private source: { path: string; before: Fingerprint } | undefined;

  constructor(binding: SqliteBinding, pages: PageServer) {
    this.binding = binding;
    this.pages = pages;
  }

  /** Nothing where the database has to be copied: it is in use, or is not plain. Never rejects: the copy says what is wrong. */
  async open(request: ChildOperations['openStill']['request']): Promise<Opened> {
    if (!this.binding.immutable) return {};
    return this.tryOpen(request).catch(() => ({}));
  }

  private async tryOpen({ path, exchange, busyTimeoutMs }: ChildOperations['openStill']['request']): Promise<Opened> {
    const found = await this.look(path, busyTimeoutMs);
    if (found === undefined) return {};
    const { source, before, header, bytes } = found;
    this.pages.open(source, exchange);
    this.source = { path: source, before };
    const journalMode = header.wal ? 'wal' : 'rollback';
    return { still: { pageSize: header.pageSize, bytes, source, journalMode, binding: this.binding.name } };
  }

  /** SHA-256 of the file, hexadecimal; nothing where somebody may write it. Never rejects. */
  async hash({ path, busyTimeoutMs }: ChildOperations['hashStill']['request']): Promise<{ sha256?: string }> {
    try {
      const found = await this.look(path, busyTimeoutMs);
      if (found === undefined) return {};
      const { sha256 } = await hashFile(found.source);
      return sameStates(found.before, await fingerprint(found.source)) ? { sha256 } : {};
    } catch {
      return {};
    }
  }

  private async look(path: string, busyTimeoutMs: number): Promise<Found | undefined> {
    const source = await realpath(path);
    const before = await fingerprint(source);
    const [database, log, journal] = before;
    if (database === undefined || log !== undefined || journal !== undefined || isCoarse(before)) return undefined;
    const header = await lookAt(source, path);
    const bytes = Number(database.size);
    if (header === undefined || bytes % header.pageSize !== 0) return undefined;
    await systemClock.sleep(TICK_MS);
    // Without a log, pages of a transaction that is not committed may stand in the file: then its lock is taken.
    if (!header.wal) await this.assertCommitted(source, busyTimeoutMs);
    return sameStates(before, await fingerprint(source)) ? { source, before, header, bytes } : undefined;
  }

  /** Throws when a transaction that is not committed keeps the lock for reading. */
  private async assertCommitted(source: string, busyTimeoutMs: number): Promise<void> {
    const connection = await this.binding.open(source, { mode: 'readonly', busyTimeoutMs });
    try {
      await connection.exec('BEGIN');
      await connection.all('PRAGMA schema_version');
      await connection.exec('ROLLBACK');
    } finally {
      await connection.close();
    }
  }

  /** Whether nothing was written since `open`. Closes it. */
  async isStill(): Promise<ChildOperations['isStill']['response']> {
    const { source } = this;
    if (source === undefined) return { still: false };
    this.source = undefined;
    this.pages.close();
    return { still: sameStates(source.before, await fingerprint(source.path)) };
  }
}

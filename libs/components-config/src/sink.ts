import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  ENVIRONMENT_DIRECTORY,
  fsPath,
  isAtOrBelow,
  livePath,
  type CommitResult,
  type RestoreEntry,
  type RestorePlan,
  type RestoreRun,
  type RestoreSink,
  type SwapSink,
  type SwapTicket,
} from '@foodsave-backup/component';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { MAX_REDACTED_FILE, redact, unredact } from './redact.ts';

/** `facts.redacted` of a backup, whatever a manifest may hold there. */
function redactedFiles(facts: RestoreRun['facts']): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const list: unknown = facts['redacted'];
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    const { path, keys } = (typeof item === 'object' && item !== null ? item : {}) as {
      path?: unknown;
      keys?: unknown;
    };
    if (typeof path !== 'string' || !Array.isArray(keys)) continue;
    found.set(
      path,
      keys.filter((key): key is string => typeof key === 'string'),
    );
  }
  return found;
}

/** Lays everything out, and says what was redacted. */
export class ConfigTargetSink implements RestoreSink {
  private readonly inner: RestoreSink;
  private readonly redacted: Map<string, string[]>;

  constructor(inner: RestoreSink, run: RestoreRun) {
    this.inner = inner;
    this.redacted = redactedFiles(run.facts);
  }

  plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan> {
    return this.inner.plan(entries);
  }

  write(entry: RestoreEntry): Promise<void> {
    return this.inner.write(entry);
  }

  async commit(): Promise<CommitResult> {
    const result = await this.inner.commit();
    const notes = [...this.redacted].map(
      ([path, keys]) =>
        `${printable(path)}: ${keys.map(printable).join(', ')} ${keys.length === 1 ? 'was' : 'were'} redacted in the backup. Set the value by hand.`,
    );
    return { ...result, notes: [...result.notes, ...notes] };
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Restores over the live files: keeps the live values of redacted keys, and never touches the environment. */
export class ConfigLiveSink implements SwapSink {
  readonly locks = false;
  private readonly inner: SwapSink;
  private readonly run: RestoreRun;
  private readonly baseDir: string;
  private readonly secrets: readonly string[];
  private readonly redacted: Map<string, string[]>;
  private readonly notes: string[] = [];

  constructor(inner: SwapSink, run: RestoreRun, baseDir: string, secrets: readonly string[]) {
    this.inner = inner;
    this.run = run;
    this.baseDir = baseDir;
    this.secrets = secrets;
    this.redacted = redactedFiles(run.facts);
  }

  plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan> {
    return this.inner.plan(this.planned(entries));
  }

  /** A live file that reads like the backup once it is redacted will not be replaced. */
  private async *planned(
    entries: AsyncIterable<Omit<RestoreEntry, 'content'>>,
  ): AsyncGenerator<Omit<RestoreEntry, 'content'>> {
    for await (const entry of entries) {
      if (isAtOrBelow(entry.path, ENVIRONMENT_DIRECTORY)) continue;
      const keys = this.redacted.get(entry.path);
      const live = keys && entry.sha256 ? await this.live(entry.path) : undefined;
      if (
        live &&
        entry.sha256 &&
        sha256(redact(entry.path, live, this.keysOf(entry.path)).bytes).equals(entry.sha256)
      ) {
        yield { ...entry, size: live.length, sha256: sha256(live) };
      } else {
        yield entry;
      }
    }
  }

  async write(entry: RestoreEntry): Promise<void> {
    if (isAtOrBelow(entry.path, ENVIRONMENT_DIRECTORY)) return;
    if (!this.redacted.has(entry.path) || entry.kind !== 'file' || !entry.content) {
      await this.inner.write(entry);
      return;
    }
    const stored = await collect(entry);
    const live = await this.live(entry.path);
    const { bytes, kept, missing } = unredact(entry.path, stored, live, this.keysOf(entry.path));
    const content = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(bytes);
    };
    await this.inner.write({ ...entry, size: bytes.length, sha256: sha256(bytes), content });
    const path = printable(entry.path);
    if (kept.length > 0)
      this.notes.push(`${path}: redacted in the backup, kept as live: ${kept.map(printable).join(', ')}.`);
    if (missing.length > 0)
      this.notes.push(
        `${path}: redacted in the backup and not found live, set by hand: ${missing.map(printable).join(', ')}.`,
      );
  }

  private keysOf(path: string): string[] {
    return [...this.secrets, ...(this.redacted.get(path) ?? [])];
  }

  private async live(path: string): Promise<Buffer | undefined> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(fsPath(livePath(this.baseDir, path)), flags).catch(() => undefined);
    if (!handle) return undefined;
    try {
      const stats = await handle.stat();
      return stats.isFile() && stats.size <= MAX_REDACTED_FILE ? await handle.readFile() : undefined;
    } finally {
      await handle.close();
    }
  }

  prepare(): Promise<SwapTicket | undefined> {
    return this.inner.prepare();
  }

  check(): Promise<string[]> {
    return this.inner.check();
  }

  revert(): Promise<boolean> {
    return this.inner.revert();
  }

  keep(): void {
    this.inner.keep();
  }

  async commit(): Promise<CommitResult> {
    const result = await this.inner.commit();
    const list: unknown = this.run.facts['environment'];
    const names = Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : [];
    const environment =
      names.length === 0
        ? []
        : [
            `Environment variables in the backup, not restored: ${names.map(printable).join(', ')}. Restore to a target directory to see their values.`,
          ];
    return { ...result, notes: [...result.notes, ...this.notes, ...environment] };
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** The content of a redacted file, which is small, compared with its own hash before it is merged. */
async function collect(entry: RestoreEntry): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of entry.content?.() ?? []) {
    size += piece.length;
    if (size > MAX_REDACTED_FILE) break;
    pieces.push(piece);
  }
  const bytes = Buffer.concat(pieces);
  if (size !== entry.size || (entry.sha256 && !sha256(bytes).equals(entry.sha256))) {
    throw new BackupError(
      'DATA_DAMAGED',
      `"${printable(entry.path)}" cannot be restored: its content does not match the backup`,
      {
        hint: 'Run verify on this backup. An intact copy of the repository can restore it.',
      },
    );
  }
  return bytes;
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

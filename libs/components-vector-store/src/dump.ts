import { rm } from 'node:fs/promises';
import type {
  ComponentFacts,
  Dump,
  DumpEntry,
  DumpRun,
  EntryMeta,
  PreviousEntry,
  StreamContent,
} from '@foodsave-backup/component';
import { isoTime, throwIfCancelled } from '@foodsave-backup/kernel';
import { takeSnapshot, type Snapshot, type SnapshotOptions } from './snapshot.ts';

const PIECE_BYTES = 1024 * 1024;

export interface StoreDumpOptions extends SnapshotOptions<Record<string, unknown>> {
  run: DumpRun;
  /** Metadata as it may be stored: see `settled`. */
  settle: (meta: EntryMeta) => EntryMeta;
}

/** Emits a checked private copy of a vector store. */
export class StoreDump implements Dump {
  private readonly options: StoreDumpOptions;
  private taken: Promise<{ snapshot: Snapshot; facts: Record<string, unknown>; capturedAt: string }> | undefined;

  constructor(options: StoreDumpOptions) {
    this.options = options;
  }

  private take(): NonNullable<StoreDump['taken']> {
    this.taken ??= takeSnapshot(this.options).then((taken) => ({ ...taken, capturedAt: isoTime(this.options.clock) }));
    return this.taken;
  }

  async *entries(): AsyncGenerator<DumpEntry, void, undefined> {
    const { run, settle } = this.options;
    throwIfCancelled(run.signal);
    const { snapshot } = await this.take();
    for (const warning of snapshot.warnings) run.warn(warning);
    for (const entry of snapshot.entries) {
      const ready = { ...entry, meta: settle(entry.meta) };
      if (entry.kind !== 'file') yield ready;
      else if (isUnchanged(entry, await run.previous(entry.path))) yield { ...ready, unchanged: true };
      else yield { ...ready, content: this.content(snapshot, entry.path) };
    }
  }

  private content(snapshot: Snapshot, path: string): StreamContent {
    const { signal } = this.options.run;
    return {
      kind: 'stream',
      async *open() {
        const reader = await snapshot.reader(path);
        if (!reader) return;
        for (let at = 0; at < reader.size; at += PIECE_BYTES) {
          throwIfCancelled(signal);
          yield await reader.read(at, Math.min(PIECE_BYTES, reader.size - at));
        }
      },
    };
  }

  async facts(): Promise<ComponentFacts> {
    const { snapshot, facts, capturedAt } = await this.take();
    const { files, bytes, special, skipped, unreadable, incomplete } = snapshot.stats;
    const counts = { files, bytes, special, skipped, unreadable };
    return { ...facts, capturedAt, ...counts, ...(incomplete ? { incomplete: true } : {}) };
  }

  async close(): Promise<void> {
    const taken = await this.taken?.catch(() => undefined);
    await taken?.snapshot.close();
    await rm(this.options.directory, { recursive: true, force: true });
  }
}

/** As for files, on the metadata of the look that proved the copy: the stored entry was not racy, and nothing has moved since. */
function isUnchanged(entry: DumpEntry, previous: PreviousEntry | undefined): boolean {
  return (
    previous?.kind === 'file' &&
    previous.sha256 !== undefined &&
    previous.size === entry.size &&
    previous.meta.ctimeNs !== undefined &&
    previous.meta.ctimeNs === entry.meta.ctimeNs &&
    previous.meta.mtimeNs === entry.meta.mtimeNs &&
    previous.meta.inode === entry.meta.inode
  );
}

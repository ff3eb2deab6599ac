import { rm } from 'node:fs/promises';
import {
  SourceMoved,
  type ComponentFacts,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type EntryMeta,
  type PreviousEntry,
  type StreamContent,
} from '@foodsave-backup/component';
import { BackupError, isoTime, throwIfCancelled } from '@foodsave-backup/kernel';
import { LiveStore, takeSnapshot, type SnapshotOptions, type StoreView } from './snapshot.ts';

const PIECE_BYTES = 1024 * 1024;

export interface StoreDumpOptions extends SnapshotOptions<Record<string, unknown>> {
  run: DumpRun;
  /** Metadata as it may be stored: see `settled`. */
  settle: (meta: EntryMeta) => EntryMeta;
  /** What of the configuration the facts depend on, so that those of an unchanged store can be kept. */
  settings: string;
}

interface Taken {
  store: StoreView;
  capturedAt: string;
  facts: () => Promise<Record<string, unknown>>;
}

/**
 * Emits a vector store: at the first attempt the files where they lie, and `facts` says whether they stood still until then;
 * afterwards a checked private copy.
 */
export class StoreDump implements Dump {
  private readonly options: StoreDumpOptions;
  private taken: Promise<Taken> | undefined;
  /** Every file was found as the newest backup has it. */
  private unchanged = true;

  constructor(options: StoreDumpOptions) {
    this.options = options;
  }

  private take(): Promise<Taken> {
    this.taken ??= (this.options.run.attempt ?? 1) === 1 ? this.live() : this.copy();
    return this.taken;
  }

  private async live(): Promise<Taken> {
    const live = await LiveStore.open(this.options);
    const capturedAt = isoTime(this.options.clock);
    return { store: live, capturedAt, facts: () => this.liveFacts(live) };
  }

  private async copy(): Promise<Taken> {
    const { snapshot, facts } = await takeSnapshot(this.options);
    return { store: snapshot, capturedAt: isoTime(this.options.clock), facts: () => Promise.resolve(facts) };
  }

  private async liveFacts(live: LiveStore): Promise<Record<string, unknown>> {
    const kept = this.keptFacts(live);
    const facts = kept ?? (await this.inspected(live));
    await live.assertStill();
    return facts;
  }

  /** A file that a writer is in the middle of may not parse. */
  private async inspected(live: LiveStore): Promise<Record<string, unknown>> {
    try {
      return await this.options.inspect(live);
    } catch (error) {
      if (error instanceof BackupError && error.code === 'SOURCE_CORRUPT')
        throw new SourceMoved('The vector store', error);
      throw error;
    }
  }

  /** What the newest backup says of the same files, asked for with the same settings. */
  private keptFacts({ stats }: LiveStore): Record<string, unknown> | undefined {
    const { previousFacts } = this.options.run;
    if (!this.unchanged || previousFacts === undefined || stats.files === 0) return undefined;
    const { files, bytes, settings } = previousFacts;
    const same = files === stats.files && bytes === stats.bytes && settings === this.options.settings;
    return same ? previousFacts : undefined;
  }

  async *entries(): AsyncGenerator<DumpEntry, void, undefined> {
    const { run, settle } = this.options;
    throwIfCancelled(run.signal);
    const { store } = await this.take();
    for (const warning of store.warnings) run.warn(warning);
    for (const entry of store.entries) {
      const ready = { ...entry, meta: settle(entry.meta) };
      if (entry.kind !== 'file') yield ready;
      else if (isUnchanged(entry, await run.previous(entry.path))) yield { ...ready, unchanged: true };
      else {
        this.unchanged = false;
        yield { ...ready, content: this.content(store, entry.path) };
      }
    }
  }

  private content(store: StoreView, path: string): StreamContent {
    const { signal } = this.options.run;
    return {
      kind: 'stream',
      async *open() {
        const reader = await store.reader(path);
        if (!reader) return;
        const { size } = reader;
        // Two, one of which is filled while the other is looked at.
        const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size)));
        const ask = (at: number): Promise<Uint8Array> => {
          const piece = reader.read(at, Math.min(PIECE_BYTES, size - at), buffers[(at / PIECE_BYTES) & 1]);
          piece.catch(() => undefined);
          return piece;
        };
        let next = size > 0 ? ask(0) : undefined;
        try {
          for (let at = PIECE_BYTES; next !== undefined; at += PIECE_BYTES) {
            throwIfCancelled(signal);
            const piece = await next;
            next = at < size ? ask(at) : undefined;
            yield piece;
          }
        } finally {
          await next?.catch(() => undefined);
        }
      },
    };
  }

  async facts(): Promise<ComponentFacts> {
    const { store, facts, capturedAt } = await this.take();
    const { files, bytes, special, skipped, unreadable, incomplete } = store.stats;
    const counts = { files, bytes, special, skipped, unreadable };
    const { settings } = this.options;
    return { ...(await facts()), settings, capturedAt, ...counts, ...(incomplete ? { incomplete: true } : {}) };
  }

  async close(): Promise<void> {
    const taken = await this.taken?.catch(() => undefined);
    await taken?.store.close();
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

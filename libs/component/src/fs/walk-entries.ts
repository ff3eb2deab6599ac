import type { BigIntStats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { BackupError, systemErrorCode, throwIfCancelled, type Piece } from '@foodsave-backup/kernel';
import { contentSource } from '../content.ts';
import { decodeName, fsPath } from '../names.ts';
import type { ComponentWarning, DumpEntry, EntryMeta, PreviousEntry, StreamContent, Xattr } from '../port.ts';
import { HardLinks } from './hard-links.ts';
import { mayHaveHoles } from './holes.ts';
import { loadNative } from './native-load.ts';
import type { NativeFs, Place as NativePlace } from './native.ts';
import type { TreeFilter } from './patterns.ts';
import { beginFile, metaOf, openFile, unreadable, withXattrs, type OpenedFile, type OpenFileOptions } from './read.ts';
import { readXattrs } from './xattrs.ts';

export interface WalkOptions {
  /** Absolute; layout paths are relative to it. */
  baseDir: string;
  /** Absolute files or directories; may overlap. */
  roots: readonly string[];
  signal: AbortSignal;
  warn: (warning: ComponentWarning) => void;
  /** Start of the capture, nanoseconds since the epoch, by the clock that stamps the files. */
  startedNs: bigint;
  filter?: TreeFilter;
  /** Roots that do not exist are left out with a warning (a safety backup saves what is left), unless none exists. */
  skipMissing?: boolean;
  /** Directories on other file systems are emitted, but not entered. */
  oneFileSystem?: boolean;
  /** False: only look (for estimates and plans); files are neither opened nor read. */
  content?: boolean;
  /** Whether extended attributes are read. Default: when contents are. */
  attributes?: boolean;
  /** The system calls that Node.js lacks. Default: as they can be loaded; null: none, then holes are read and attributes are not kept. */
  native?: NativeFs | null;
  previous?: (path: string) => PreviousEntry | undefined | Promise<PreviousEntry | undefined>;
}

/** What a walk has met so far. */
export interface WalkStats {
  files: number;
  directories: number;
  links: number;
  bytes: number;
  changedWhileRead: number;
  unreadable: number;
  vanished: number;
  /** FIFOs: recorded, never opened. */
  special: number;
  /** Sockets and devices: left out. */
  skipped: number;
  /** Names of files that have other names too. */
  hardLinked: number;
  /** Files that take less room than their size. */
  sparse: number;
  /** Entries with extended attributes that are kept, ACLs among them. Undefined when nobody could look. */
  xattrs?: number;
  /** Names of extended attributes that are never kept. */
  otherXattrs: string[];
  unchanged: number;
  /** Something that should have been captured was not, or not in one consistent state. */
  incomplete: boolean;
}

export interface Place {
  /** Absolute path. */
  path: string;
  layout: string;
  /** Where it is reached: the path, or, where that is too long for the system, one that begins with an open directory. */
  at: string;
}

export interface Found extends Place {
  stats: BigIntStats;
  root: boolean;
}

export interface Prepared {
  entry?: DumpEntry;
  warnings: ComponentWarning[];
  /** Reads what was begun, when its turn has come; to be asked for what takes the place of this. */
  read?: () => Promise<Prepared>;
  close?: () => Promise<void>;
}

/** Other names of attributes that are listed; more say nothing new. */
const LISTED = 50;

/** Turns what a walk has found into entries, counts it, and tells what cannot be had. */
export class EntryReader {
  readonly stats: WalkStats = {
    files: 0,
    directories: 0,
    links: 0,
    bytes: 0,
    changedWhileRead: 0,
    unreadable: 0,
    vanished: 0,
    special: 0,
    skipped: 0,
    hardLinked: 0,
    sparse: 0,
    otherXattrs: [],
    unchanged: 0,
    incomplete: false,
  };
  private readonly options: WalkOptions;
  private readonly hardLinks = new HardLinks();
  private readonly others = new Set<string>();

  private native: NativeFs | undefined;

  constructor(options: WalkOptions) {
    this.options = options;
  }

  /** To be awaited before anything else. */
  async start(): Promise<void> {
    const { content, attributes, native, warn } = this.options;
    if (attributes !== true && content === false) return;
    this.native = native === undefined ? await loadNative() : (native ?? undefined);
    if (this.native) {
      this.stats.xattrs = 0;
      return;
    }
    const message =
      'Holes are read as zeros, and extended attributes and ACLs are not kept: their module cannot be loaded';
    warn({ code: 'NATIVE_UNAVAILABLE', message });
  }

  /** Never rejects but for a cancelled run: what cannot be read is a warning. */
  async prepare(found: Found, before: PreviousEntry | undefined): Promise<Prepared> {
    try {
      if (found.stats.isSymbolicLink()) return await this.link(found);
      if (found.stats.isFile()) return await this.file(found, before);
      if (found.stats.isFIFO()) return await this.fifo(found);
      this.stats.skipped++;
      const message = 'A socket or device is not part of a backup';
      return { warnings: [{ code: 'SPECIAL_FILE_SKIPPED', message, path: found.layout }] };
    } catch (error) {
      return { warnings: [this.failure(found, error)] };
    }
  }

  /** What the newest backup has of a file; to be handed to the others. */
  ask({ layout, stats }: Found): PreviousEntry | undefined | Promise<PreviousEntry | undefined> {
    return stats.isFile() ? this.options.previous?.(layout) : undefined;
  }

  /**
   * The entry of a file that is as the newest backup has it; undefined where `prepare` is to be asked. A backup of which nothing
   * has changed consists of these, so that they come without a promise.
   */
  unchangedNow({ layout, stats }: Found, before: PreviousEntry | undefined): DumpEntry | undefined {
    const { startedNs, content } = this.options;
    if (content === false || !stats.isFile() || stats.nlink > 1n) return undefined;
    if (before === undefined || !isUnchanged(stats, before)) return undefined;
    const meta = metaOf(stats, startedNs);
    const attributes = before.meta.xattrs;
    if (this.stats.xattrs !== undefined && attributes === undefined) return undefined;
    const whole = this.stats.xattrs === undefined ? meta : withXattrs(meta, attributes);
    this.countXattrs(whole);
    this.count(before.size, stats);
    this.stats.unchanged++;
    return { path: layout, kind: 'file', meta: whole, size: before.size, unchanged: true };
  }

  async directory(found: Found): Promise<DumpEntry> {
    this.stats.directories++;
    return { path: found.layout, kind: 'directory', meta: await this.metaOf(found), size: 0 };
  }

  private async fifo(found: Found): Promise<Prepared> {
    this.stats.special++;
    return { warnings: [], entry: { path: found.layout, kind: 'fifo', meta: await this.metaOf(found), size: 0 } };
  }

  private async link(found: Found): Promise<Prepared> {
    const { layout, at, stats } = found;
    const linkTarget = decodeName(await readlink(fsPath(at), { encoding: 'buffer' }));
    this.stats.links++;
    const warnings: ComponentWarning[] = [];
    if (found.root) {
      this.stats.incomplete = true;
      const message =
        'The include path is a symbolic link: only the link was captured. Include the path that it points to';
      warnings.push({ code: 'INCLUDE_IS_LINK', message, path: layout });
    }
    const meta = await this.metaOf(found);
    return { warnings, entry: { path: layout, kind: 'symlink', meta, size: Number(stats.size), linkTarget } };
  }

  private async file(found: Found, before: PreviousEntry | undefined): Promise<Prepared> {
    const { layout, stats } = found;
    const { startedNs, content } = this.options;
    const link = this.hardLinks.of(stats);
    const meta = metaOf(stats, startedNs);
    const entry: DumpEntry = { path: layout, kind: 'file', meta, size: Number(stats.size), ...(link ? { link } : {}) };
    if (content === false || isUnchanged(stats, before)) {
      this.count(entry.size, stats);
      const whole = { ...entry, meta: await this.metaOf(found, before) };
      if (content === false) return { warnings: [], entry: whole };
      this.stats.unchanged++;
      return { warnings: [], entry: { ...whole, unchanged: true } };
    }
    return link?.again === true ? this.later(found, entry) : this.begun(found, entry);
  }

  /** Opened many at once, so that the disk has something to choose from; read one after the other. */
  private begun(found: Found, entry: DumpEntry): Prepared {
    const warnings: ComponentWarning[] = [];
    const state = { late: false };
    const file = beginFile(
      found.at,
      this.openOptions(found, (warning) => {
        if (state.late) this.options.warn(warning);
        else warnings.push(warning);
      }),
    );
    const read = async (): Promise<Prepared> => {
      try {
        const opened = await file.read();
        state.late = true;
        return opened
          ? this.opened(found, entry, { opened, warnings })
          : { warnings: [this.failure(found, notRegular())] };
      } catch (error) {
        return { warnings: [this.failure(found, error)] };
      }
    };
    return {
      warnings: [],
      read,
      close: () => {
        file.close();
        return Promise.resolve();
      },
    };
  }

  private opened(
    found: Found,
    entry: DumpEntry,
    { opened, warnings }: { opened: OpenedFile; warnings: ComponentWarning[] },
  ): Prepared {
    this.count(opened.size, found.stats);
    this.countXattrs(opened.meta);
    const content: StreamContent = { ...opened.content, failed: (error) => this.failed(found, opened.size, error) };
    return {
      warnings,
      entry: { ...entry, meta: opened.meta, size: opened.size, content },
      close: () => opened.close(),
    };
  }

  /** Another name of a file that is being stored: opened only if that turns out to be needed. */
  private later(found: Found, entry: DumpEntry): Prepared {
    let opened: OpenedFile | undefined;
    this.count(entry.size, found.stats);
    const open = async (): Promise<OpenedFile> => {
      try {
        const options = this.openOptions(found, this.options.warn);
        return (await openFile(found.at, options)) ?? (await Promise.reject(notRegular()));
      } catch (error) {
        throwIfCancelled(this.options.signal);
        throw unreadable(found.path, error);
      }
    };
    async function* pieces(): AsyncGenerator<Piece> {
      opened = await open();
      yield* opened.content.open({ holes: true });
    }
    const content: StreamContent = {
      kind: 'stream',
      open: contentSource(pieces),
      finish: async () => (await opened?.content.finish?.()) ?? { changed: false },
      failed: (error) => this.failed(found, entry.size, error),
    };
    return { warnings: [], entry: { ...entry, content }, close: async () => opened?.close() };
  }

  private openOptions(found: Found, warn: (warning: ComponentWarning) => void): OpenFileOptions {
    const { signal, startedNs } = this.options;
    const onChanged = (): void => {
      this.stats.changedWhileRead++;
      this.stats.incomplete = true;
      const message = 'The file was altered while it was read';
      warn({ code: 'CHANGED_WHILE_READ', message, path: found.layout });
    };
    const xattrs = (fd: number): readonly Xattr[] | undefined => this.xattrs(found, fd);
    return { signal, startedNs, onChanged, xattrs, ...(this.native ? { native: this.native } : {}) };
  }

  /** A file that was open and could not be read to its end is left out, as one that cannot be opened. */
  private failed(found: Found, size: number, error: unknown): boolean {
    if (!(error instanceof BackupError) || error.code !== 'SOURCE_UNREADABLE') return false;
    this.stats.files--;
    this.stats.bytes -= size;
    this.options.warn(this.failure(found, error));
    return true;
  }

  /** With the attributes of the entry before where its change time says that they are the same. */
  private async metaOf(found: Found, known?: PreviousEntry): Promise<EntryMeta> {
    const { stats, layout } = found;
    const meta = metaOf(stats, this.options.startedNs);
    if (this.stats.xattrs === undefined) return meta;
    const before = known ?? (await this.options.previous?.(layout));
    const same =
      before?.meta.ctimeNs !== undefined &&
      before.meta.ctimeNs === stats.ctimeNs &&
      before.meta.inode === stats.ino &&
      before.meta.xattrs !== undefined;
    const whole = withXattrs(meta, same ? before.meta.xattrs : this.xattrs(found, fsPath(found.at)));
    this.countXattrs(whole);
    return whole;
  }

  private countXattrs({ xattrs }: EntryMeta): void {
    if (this.stats.xattrs !== undefined && xattrs !== undefined && xattrs.length > 0) this.stats.xattrs++;
  }

  private xattrs(found: Found, place: NativePlace): readonly Xattr[] | undefined {
    const { warn } = this.options;
    if (!this.native) return undefined;
    try {
      const { xattrs, others } = readXattrs(this.native, place);
      for (const other of others) if (this.others.size < LISTED) this.others.add(other);
      this.stats.otherXattrs = [...this.others].sort();
      if (xattrs !== undefined) return xattrs;
      const message = 'Its extended attributes are too large together and were not kept';
      warn({ code: 'XATTRS_NOT_KEPT', message, path: found.layout });
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === undefined) throw error;
      // Gone meanwhile: whoever reads it will say so.
      if (code === 'ENOENT') return undefined;
      const message = `Its extended attributes cannot be read and were not kept (${code})`;
      warn({ code: 'XATTRS_NOT_KEPT', message, path: found.layout });
    }
    this.stats.incomplete = true;
    return undefined;
  }

  private count(bytes: number, stats: BigIntStats): void {
    this.stats.files++;
    this.stats.bytes += bytes;
    if (stats.nlink > 1n) this.stats.hardLinked++;
    if (mayHaveHoles(stats)) this.stats.sparse++;
  }

  fail(place: Pick<Place, 'layout'>, error: unknown): void {
    this.options.warn(this.failure(place, error));
  }

  private failure(place: Pick<Place, 'layout'>, error: unknown): ComponentWarning {
    throwIfCancelled(this.options.signal);
    this.stats.incomplete = true;
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') {
      this.stats.vanished++;
      return {
        code: 'VANISHED',
        message: 'It was removed or replaced while the directory was read',
        path: place.layout,
      };
    }
    this.stats.unreadable++;
    return { code: 'UNREADABLE', message: `It cannot be read (${code ?? 'unknown reason'})`, path: place.layout };
  }
}

/** Reported like a file that was replaced by a link, which cannot be opened either. */
function notRegular(): Error {
  return Object.assign(new Error('it is no longer a regular file'), { code: 'ENOENT' });
}

/** Equal kind, size, times and inode: and the stored entry was not racy when it was taken (then it has no change time). */
export function isUnchanged(stats: BigIntStats, previous: PreviousEntry | undefined): boolean {
  return (
    previous?.kind === 'file' &&
    previous.sha256 !== undefined &&
    previous.size === Number(stats.size) &&
    previous.meta.ctimeNs !== undefined &&
    previous.meta.ctimeNs === stats.ctimeNs &&
    previous.meta.mtimeNs === stats.mtimeNs &&
    previous.meta.inode === stats.ino
  );
}

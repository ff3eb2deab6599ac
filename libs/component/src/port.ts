import type { Clock, Piece } from '@foodsave-backup/kernel';

/**
 * What the engine needs of something that can be backed up. A driver turns a configuration into a `Component`; the engine
 * asks it for a dump (backup) or for a restore. Drivers know nothing of repositories, packs, HTTP or terminals.
 *
 * Paths of entries are *layout paths*: POSIX, relative, no empty, `.` or `..` segment. They say where an entry lies below
 * the directory of the configuration file (`data/foodsave.db`), or below `_outside/` with the absolute path of anything
 * outside it (`_outside/var/lib/app.db`). `layoutPath()` computes them; `livePath()` goes back.
 *
 * Names are bytes on disk. In this port they are strings in which bytes that are not UTF-8 stand as lone surrogates
 * U+DC80..U+DCFF (Python's PEP 383, "surrogateescape"); `encodeName()` and `decodeName()` convert.
 */
export interface ComponentDriver<Config = unknown> {
  /** `database`, `files`, `config`, `vector_store` or a custom type `[a-z][a-z0-9_]{0,31}`. */
  readonly type: string;
  /** `sqlite`, `directory`, `faiss`, …: the value of the `driver` key of its configuration. */
  readonly driver: string;
  /** Checks the configuration of one instance (already parsed YAML) and binds it. Throws CONFIG_INVALID. No I/O. */
  open(instance: string, config: Config, context: ComponentContext): Component;
}

export interface ComponentContext {
  /** Absolute directory of the configuration file; relative paths resolve from it. */
  baseDir: string;
  /** Private directory (0700) for temporary files, on the machine's own disk. The engine empties it after each run. */
  scratchDir: string;
  clock: Clock;
  env: Readonly<Record<string, string | undefined>>;
  /** Whether the repository encrypts. Without encryption the `config` component redacts secrets. */
  encrypted: boolean;
  /** A safety backup saves what is left: a part of the source that does not exist is a warning, not a failure. */
  skipMissing?: boolean;
}

export interface Component {
  readonly instance: string;
  readonly type: string;
  /** Looks at the source without reading it whole. Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_LOCKED, SOURCE_CORRUPT. */
  probe(signal?: AbortSignal): Promise<ProbeResult>;
  /** The numbers of `probe`, where they can be had for less. */
  estimate?(signal: AbortSignal): Promise<Estimate>;
  openDump(run: DumpRun): Promise<Dump>;
  openRestore(run: RestoreRun): Promise<RestoreSink>;
  /** Absolute live paths that this component owns (files or directories); a key file or repository inside them is refused. */
  livePaths(): readonly string[];
  /** Removes what a live restore that was killed left beside the live data. Called while no live restore can run. */
  recover?(): Promise<void>;
  /** Present when the live sinks are `SwapSink`s: settles their swaps in a process that did not begin them. */
  readonly swaps?: SwapRecovery;
}

export interface Estimate {
  /** Estimated bytes to read, for progress and space checks. */
  bytes: number;
  /** Estimated entries. */
  entries: number;
}

export interface ProbeResult extends Estimate {
  /** What a person would like to know ("WAL mode, 3 tables"). */
  summary: string;
}

export interface ComponentWarning {
  code: string;
  message: string;
  /** Layout path, where it concerns one entry. */
  path?: string;
}

export interface DumpRun {
  signal: AbortSignal;
  warn(warning: ComponentWarning): void;
  /** The entry of the newest backup of this instance at a layout path: how a driver may say `unchanged` without reading. */
  previous(path: string): PreviousEntry | undefined | Promise<PreviousEntry | undefined>;
  /** The facts of that backup. */
  previousFacts?: ComponentFacts;
  /**
   * 1 for the first dump of a run. It may read the source where it lies; when that changes meanwhile, it throws
   * `SourceMoved`, and another dump is opened, with 2, that must not rely on the source standing still.
   */
  attempt?: number;
  /** False where the run is asked not to prove what it stores: checks that take long may be shorter ones. */
  verify?: boolean;
}

export interface PreviousEntry {
  kind: EntryKind;
  size: number;
  meta: EntryMeta;
  /** SHA-256 of the content, 32 bytes; absent for entries without content, and for files with long holes (`blockSha256`). */
  sha256?: Uint8Array;
  blockSha256?: Uint8Array;
}

/** Sockets and devices are no entries: a driver leaves them out and says so. */
export type EntryKind = 'file' | 'directory' | 'symlink' | 'fifo';

/** POSIX metadata. Times are nanoseconds since the epoch. */
export interface EntryMeta {
  /** Permission bits incl. setuid, setgid, sticky (07777). */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** For "unchanged?" only, never restored. */
  ctimeNs?: bigint;
  inode?: bigint;
  /** Extended attributes, ACLs among them, ascending by name. Absent when nobody looked; empty when there are none. */
  xattrs?: readonly Xattr[];
}

export interface Xattr {
  /** As `decodeName` gives it: `user.comment`, `system.posix_acl_access`. */
  name: string;
  value: Uint8Array;
}

/** Says that an entry is one of several names of one file. */
export interface HardLink {
  /** Equal for all names of the file within the dump, 1 to 32 bytes, and the same at the next dump where that can be had. */
  id: Uint8Array;
  /** Of a dump: how many names the file has, wherever they are. */
  names: number;
  /**
   * Of a dump: a name of this file came before, and the file has not changed since. The content that was stored then is taken;
   * `content` is only read when there is none.
   */
  again: boolean;
}

export interface DumpEntry {
  path: string;
  kind: EntryKind;
  meta: EntryMeta;
  /** Of a file: bytes as far as known before reading. */
  size: number;
  /** Of a symbolic link: where it points, as stored. */
  linkTarget?: string;
  /** Of a file. Absent when `unchanged`. */
  content?: EntryContent;
  /** Of a file with more than one name. */
  link?: HardLink;
  /** The driver vouches that the content equals `previous(path)`: the engine reuses it without reading. */
  unchanged?: boolean;
}

export type EntryContent = StreamContent | PagedContent;

/** The bytes of a content in order; for who asks for them, runs of zeros as holes. */
export interface ContentSource {
  (): AsyncIterable<Uint8Array>;
  (options: ContentOptions): AsyncIterable<Piece>;
}

export interface ContentOptions {
  holes: true;
  /** A piece is valid until the next one is asked for: who keeps it copies it. Its memory may then be used again. */
  reuse?: boolean;
}

/** A byte stream, read once, in order. Pieces of 64 KiB to 4 MiB; one is valid until the next is asked for: who keeps it copies it. */
export interface StreamContent {
  kind: 'stream';
  open: ContentSource;
  /** All of it with what `finish` says, where it is in memory already: whoever takes it needs neither. Valid until the next entry is asked for. */
  whole?: { bytes: Uint8Array; changed: boolean };
  /** Much of it are holes: it is hashed in blocks, so that they cost no time. */
  sparse?: boolean;
  /**
   * Asked when `open` has thrown: true leaves the entry out of the backup, of which the driver has told (`warn`, `incomplete`).
   * Otherwise, and without this method, the component fails.
   */
  failed?(error: unknown): boolean;
  /** Called after the last piece: `changed` when the source was altered while it was read (even after retries). */
  finish?(): Promise<{ changed: boolean; meta?: EntryMeta }>;
}

/** Fixed-size pages of a consistent snapshot, which the engine compares page by page with the newest backup. */
export interface PagedContent {
  kind: 'paged';
  /** Bytes, a power of two from 512 to 65536. */
  pageSize: number;
  pageCount: number;
  /** The bytes of pages `[first, first + count)`, `count * pageSize` long, valid until the next call. At most 4 MiB a call. */
  read(first: number, count: number): Promise<Uint8Array>;
  /** Where there is no need to read what has not changed. */
  hashed?: HashedPages;
}

/** Hashes of all pages, made by another process. Asked for in order, each page once. */
export interface HashedPages {
  /** For each page of `[first, first + count)` the first 16 bytes of SHA-256(`key` ‖ page). At most 4 MiB of pages a call. */
  hashes(first: number, count: number, key: Uint8Array): Promise<Uint8Array>;
  /** SHA-256 of all pages, 32 bytes; after the last of them. */
  sha256(): Promise<Uint8Array>;
}

export interface Dump {
  /**
   * The entries, each once; parents before children, siblings in ascending byte order of their names. An entry's content
   * is consumed before the next entry is asked for. Throws a BackupError when the component cannot be captured.
   */
  entries(): AsyncIterable<DumpEntry>;
  /** After the last entry: facts computed on the captured bytes, for the manifest. JSON values only, no secrets. */
  facts(): Promise<ComponentFacts>;
  /** Frees the snapshot. Always called, also after a failure. Idempotent. */
  close(): Promise<void>;
}

export interface ComponentFacts {
  /** ISO 8601 UTC: the instant whose state was captured (for a database: when the snapshot was pinned). */
  capturedAt: string;
  /** True when the source itself is damaged (e.g. integrity_check not ok): kept, flagged, never green. */
  corrupt?: boolean;
  /** True when some of the source could not be read (exit code 3). */
  incomplete?: boolean;
  [fact: string]: unknown;
}

export interface RestoreRun {
  signal: AbortSignal;
  warn(warning: ComponentWarning): void;
  /**
   * `target`: lay everything out below this absolute directory. `live`: replace what the component owns.
   * A live sink stages beside the live data and touches it only in `commit()`.
   */
  destination: { kind: 'target'; directory: string } | { kind: 'live' };
  /** Facts of the backup that is restored. */
  facts: ComponentFacts;
  /** Absent for all; otherwise only entries at or below these layout paths are written and replaced. */
  paths?: readonly string[];
  /** Live only: plan and report, change nothing. */
  dryRun: boolean;
}

export interface RestoreEntry {
  path: string;
  kind: EntryKind;
  meta: EntryMeta;
  size: number;
  linkTarget?: string;
  /** SHA-256 that the content must have, 32 bytes; of a file with long holes `blockSha256` (`BlockHash` of the kernel). */
  sha256?: Uint8Array;
  blockSha256?: Uint8Array;
  /** Of a file with more than one name: equal for all of them within the component. */
  link?: Pick<HardLink, 'id'>;
  /** Bytes of a file that are holes. */
  holeBytes?: number;
  /** Of a file: its bytes in order, already verified against the backup's own hashes. */
  content?: ContentSource;
}

export interface RestorePlan {
  /** Layout paths, at most 1,000 of each listed; the counts are exact. */
  added: string[];
  replaced: string[];
  deleted: string[];
  counts: { added: number; replaced: number; deleted: number; unchanged: number };
  bytes: number;
}

/** Receives the entries of one component in the dump's order. */
export interface RestoreSink {
  /** Live only: what `commit()` would do, given the entries of the backup without contents. Called before any `write`. */
  plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan>;
  /** Writes (target) or stages (live) one entry. Throws a BackupError; the engine decides whether to go on. */
  write(entry: RestoreEntry): Promise<void>;
  /** With a target directory, after the last `write`: a check that takes long can begin. What it finds, `commit` tells. */
  written?(): void;
  /**
   * Makes the restored data live, or throws with the target untouched. With a target directory, where the
   * engine calls it when all components are written: finishes checks, names, modes and times.
   */
  commit(): Promise<CommitResult>;
  /** Removes what was staged and not committed. Idempotent, always called. */
  close(): Promise<void>;
}

/**
 * A live sink whose commit can be taken back and finished, so that several components are replaced as one: the engine prepares
 * all of them, makes the tickets durable, commits one right after the other, and keeps what they set aside until all have
 * succeeded. A sink without these methods is committed last, and only the safety backup brings its old data back.
 */
export interface SwapSink extends RestoreSink {
  /** From `prepare()` on the application may have to wait: such sinks are prepared last. */
  readonly locks: boolean;
  /**
   * After the last `write`: all that can fail or take long (checks, locks, a durable list of the moves), so that `commit()` only
   * moves. Nothing live is touched. What another process needs to settle the swap, or `undefined` when there is nothing to do.
   */
  prepare(): Promise<SwapTicket | undefined>;
  /** After all commits: looks at what is live now. Notes for a person; throws when it is not what was restored. */
  check(): Promise<string[]>;
  /** Takes a commit back. `false` when only the safety backup can. Throws when it tried and failed. */
  revert(): Promise<boolean>;
  /** The restore is neither finished nor taken back: what was set aside must outlive `close()`. */
  keep(): void;
}

/** Names a prepared swap: plain JSON, no secrets, kept in the journal of the restore. */
export interface SwapTicket {
  /** The commit cannot be taken back from what is beside the live data. Such swaps are committed first. */
  readonly inPlace?: boolean;
  readonly [detail: string]: unknown;
}

/** How far a commit came before its process died. */
export interface SwapState {
  moved: 'nothing' | 'some' | 'all';
  /** To finish it would overwrite what somebody wrote after the restore had been prepared. */
  finishLoses: boolean;
  /** To take it back would overwrite what somebody wrote after the move. */
  undoLoses: boolean;
}

/** Settles swaps whose process died. Called while no live restore can run; every call may be repeated. */
export interface SwapRecovery {
  /** `committed`: the journal says that this commit had returned. */
  look(ticket: SwapTicket, committed: boolean): Promise<SwapState>;
  /** Carries out what is missing of the commit. Throws with the live data as before the call, or wholly replaced. */
  finish(ticket: SwapTicket): Promise<void>;
  /** Takes back what was done of it; `false` when only the safety backup can. */
  undo(ticket: SwapTicket): Promise<boolean>;
  /** Removes what was staged and set aside. */
  clean(ticket: SwapTicket): Promise<void>;
  /** Nobody can tell what is right: keeps what was set aside out of the way of later restores, and says where it is. */
  keep(ticket: SwapTicket): Promise<string[]>;
}

export interface CommitResult {
  files: number;
  bytes: number;
  /** What a person must know afterwards ("LOG_LEVEL was redacted in the backup and kept as it is"). */
  notes: string[];
}

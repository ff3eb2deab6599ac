/**
 * What a repository needs of a medium. Keys are relative POSIX paths of the characters `A-Za-z0-9._-` and `/`, 512 bytes
 * at most, with no empty, `.` or `..` segment and none that begins with `.tmp-` or is longer than 255 bytes; any other is
 * VALIDATION_FAILED. Values are opaque bytes, 64 MiB at most, so that a retry can always send the same bytes again.
 *
 * Errors: a BackupError. A key that is absent is `undefined` for `stat`, and NotFoundError (code IO_ERROR,
 * `details.notFound`) for `get`; no space is NO_SPACE; a medium that refuses writes is REPOSITORY_NOT_WRITABLE. A fault
 * that may pass is IO_ERROR with `details.transient = true`.
 */
export interface StorageBackend {
  readonly capabilities: StorageCapabilities;
  /** For people: `/srv/backups`, `s3://bucket/prefix`. Never contains a credential. */
  readonly location: string;

  /**
   * Stores the whole of `body` under `key`. When it resolves, the object is durable and complete: it survives a power
   * cut, and so does its name. Until then readers see the old object or none, never a part. Writing the same bytes again
   * is harmless.
   *
   * With `ifAbsent` an existing object is never replaced: resolves to `false` if there was one. Otherwise `true`.
   */
  put(key: string, body: Uint8Array, options?: PutOptions): Promise<boolean>;

  /**
   * The bytes `[offset, offset + length)`; without a range all of them. A range that reaches past the end is an IO_ERROR,
   * never a short answer.
   */
  get(key: string, range?: ByteRange, options?: GetOptions): Promise<Uint8Array>;

  /** Size in bytes and modification time in ms since the epoch as the medium tells it, or `undefined` when absent. */
  stat(key: string): Promise<ObjectInfo | undefined>;

  /**
   * Every object directly below the folder `prefix` (`''` or `index/`, with its slash), not recursive, in no promised order.
   * A folder that does not exist is empty. Temporary files of unfinished puts are never listed.
   */
  list(prefix: string): AsyncIterable<ObjectInfo>;

  /** The keys of such a listing, for who needs no more: a medium may have to look at each object for the rest. */
  keys(prefix: string): Promise<string[]>;

  /** Removes the object durably. Removing an absent one is no error. */
  delete(key: string): Promise<void>;

  /** Frees handles. Idempotent. */
  close(): Promise<void>;
}

export interface PutOptions {
  ifAbsent?: boolean;
  signal?: AbortSignal;
}

export interface GetOptions {
  signal?: AbortSignal;
  /**
   * Memory that the answer may be put into, at its start, where it is large enough; the answer is then a view of it. It holds
   * anything afterwards, and is not written to when the promise is settled.
   */
  into?: Uint8Array;
}

export interface ByteRange {
  /** Bytes from the start. */
  offset: number;
  /** Bytes. */
  length: number;
}

export interface ObjectInfo {
  key: string;
  size: number;
  modifiedAt: number;
}

export interface StorageCapabilities {
  /** `put` with `ifAbsent` is atomic against other writers. */
  atomicIfAbsent: boolean;
  /** A listing shows every object whose `put` resolved before the listing began. */
  consistentList: boolean;
  /** Two processes on one machine see the same medium (leases may look at process ids). */
  localToMachine: boolean;
}

export const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

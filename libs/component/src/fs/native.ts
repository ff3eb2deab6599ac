/** A file by the number of its open descriptor, or by a path whose last name is never followed as a link. */
export type Place = number | string | Buffer;

/**
 * The system calls of Linux that Node.js lacks. They are synchronous and short; none is made for a file that has not changed.
 * Failures are errors with `code` and `syscall`, as those of `node:fs`.
 */
export interface NativeFs {
  /** Access and modification time, to the nanosecond. */
  setTimes(place: Place, ns: bigint): void;
  /** Names of the extended attributes that this process may see, in the order of the file system. */
  listXattrs(place: Place): Buffer[];
  /** Undefined when it is not there. */
  getXattr(place: Place, name: Uint8Array): Buffer | undefined;
  setXattr(place: Place, name: Uint8Array, value: Uint8Array): void;
  /** Removing what is not there is no error. */
  removeXattr(place: Place, name: Uint8Array): void;
  /** Offset of the first byte of data at or after `offset`; undefined when a hole reaches from there to the end. */
  nextData(fd: number, offset: number): number | undefined;
  /** Offset of the first byte of a hole at or after `offset`, which lies before the end; the end of a file counts as one. */
  nextHole(fd: number, offset: number): number;
  /**
   * Lets the system begin to read the first `length` bytes of an open file that will be read soon; nothing waits for it, and
   * nothing comes of a failure.
   */
  willRead(fd: number, length: number): void;
  makeFifo(path: string | Buffer, mode: number): void;
}

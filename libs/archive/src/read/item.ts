/** An entry as the archive itself has it, before anything of it is believed. */
export interface ArchiveItem {
  /** As it stands there, without the slash at the end of a directory. */
  path: string;
  kind: 'file' | 'directory' | 'symlink';
  /** Bytes, as its header says. */
  size: number;
  target?: string;
  /** Bytes of a file: at most `size`, then compared with it and, in a ZIP, with the CRC. Before the next item is asked for. */
  content: () => AsyncIterable<Uint8Array>;
}

/** Reads the entries of an archive in the order in which it has them. */
export interface ItemReader {
  /** A pass of its own each time. Throws ARCHIVE_INVALID; leaving it early frees what it holds. */
  items(): AsyncGenerator<ArchiveItem, void, undefined>;
}

/** Links of our archives point somewhere in one path; longer ones are the work of someone else. */
export const TARGET_MAX = 4096;

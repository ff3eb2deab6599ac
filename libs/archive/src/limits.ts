/** What a reader of an archive accepts; docs/archives.md publishes it. Tests lower single ones. */
export interface ArchiveLimits {
  /** Entries that the records of an archive may have. */
  entries: number;
  /** Bytes of `manifest.json`, which is read whole. */
  manifestBytes: number;
  /** Bytes of one line of `entries.jsonl`, which is read whole. */
  recordBytes: number;
  /** Names in a path. */
  depth: number;
}

export const ARCHIVE_LIMITS: Readonly<ArchiveLimits> = {
  entries: 2_000_000,
  manifestBytes: 8 * 1024 * 1024,
  recordBytes: 1024 * 1024,
  depth: 1024,
};

/** Nesting of JSON values: facts and metadata are shallow, and each level of a bomb costs memory. */
export const JSON_DEPTH = 64;

/**
 * Deflate writes at least one bit for two symbols of at most 258 bytes: it cannot expand more than 1,032 times
 * (https://zlib.net/zlib_tech.html). Whoever declares more lies, and nothing nested is ever unpacked.
 */
export const DEFLATE_RATIO_MAX = 1032;
/** Room for names, headers and directories in that comparison, in bytes. */
export const RATIO_SLACK = 1024 * 1024;

/** Contents below this are written by the writer for small archives, in bytes. */
export const SMALL_ARCHIVE_BYTES = 16 * 1024 * 1024;
/** Entries up to which an archive is small. */
export const SMALL_ARCHIVE_ENTRIES = 2000;

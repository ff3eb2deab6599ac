export { Archive, type OpenArchiveOptions, type ReadEntry } from './read/archive.ts';
export {
  checkedContent,
  drain,
  writeArchive,
  type ArchiveFormat,
  type ArchiveSource,
  type SourceEntry,
} from './write/archive.ts';
export { archiveInvalid } from './errors.ts';
export { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
export { ARCHIVE_LIMITS, type ArchiveLimits } from './limits.ts';
export type { ArchivedComponent, ArchiveManifest } from './manifest.ts';
export { RESERVED_FOLDER } from './names.ts';
export type { EntryRecord, RecordMeta } from './records.ts';

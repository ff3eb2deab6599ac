import { assertLayoutPath, compareLayoutPaths, isAtOrBelow } from '@foodsave-backup/component';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { archiveInvalid } from './errors.ts';
import { isJsonObject, parseJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './limits.ts';

/** Metadata of an entry in one component. What this library needs of it is named; everything else is carried as it is. */
export interface RecordMeta extends JsonObject {
  /** Permission bits, 07777. */
  mode: number;
  /** Modification time in nanoseconds since 1970, in decimal: JSON numbers end at 2^53. */
  mtimeNs: string;
}

/** One line of `entries.jsonl`: an entry of the backup, in one component or in several that share it. */
export interface EntryRecord {
  /** Layout path; bytes that are not UTF-8 stand as lone surrogates (see `decodeName`). */
  path: string;
  /** `file`, `directory`, `symlink`, or a kind that archives cannot hold. */
  kind: string;
  /** Of a file: bytes and SHA-256, 64 hex digits. */
  size?: number;
  sha256?: string;
  /** Of a symbolic link: where it points, spelled like a path. */
  target?: string;
  /** Where it lies in the archive, when that is not its path. */
  at?: string;
  /** The components that have it, each with its own metadata. */
  in: Record<string, RecordMeta>;
}

export function encodeRecord(record: EntryRecord): string {
  const { path, kind, size, sha256, target, at, in: components } = record;
  return JSON.stringify({ path, kind, size, sha256, target, at, in: components });
}

/** Throws ARCHIVE_INVALID for what is no record, or one whose path is not safe. */
export function decodeRecord(line: Buffer): EntryRecord {
  const json = parseJsonObject(line);
  if (json === undefined || !isRecord(json)) throw archiveInvalid('a line of entries.jsonl is not a record');
  try {
    assertLayoutPath(json['path'] as string);
  } catch (error) {
    const message = error instanceof BackupError ? error.message : 'a path is not safe';
    throw archiveInvalid(message, { cause: error });
  }
  return json as unknown as EntryRecord;
}

const KEYS = new Set(['path', 'kind', 'size', 'sha256', 'target', 'at', 'in']);

function isRecord(json: JsonObject): boolean {
  const { path, kind, size, sha256, target, at } = json;
  const isFile = kind === 'file';
  return (
    Object.keys(json).every((key) => KEYS.has(key)) &&
    typeof path === 'string' &&
    typeof kind === 'string' &&
    /^[a-z][a-z0-9_-]{0,31}$/.test(kind) &&
    (isFile ? isSize(size) : size === undefined) &&
    (isFile ? typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) : sha256 === undefined) &&
    (kind === 'symlink'
      ? typeof target === 'string' && target !== ''
      : target === undefined || typeof target === 'string') &&
    (at === undefined || typeof at === 'string') &&
    isComponents(json['in'])
  );
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isComponents(value: JsonValue | undefined): boolean {
  return isJsonObject(value) && Object.keys(value).length > 0 && Object.values(value).every(isMeta);
}

function isMeta(value: JsonValue): boolean {
  if (!isJsonObject(value)) return false;
  const { mode, mtimeNs } = value;
  return (
    Number.isInteger(mode) &&
    (mode as number) >= 0 &&
    (mode as number) <= 0o7777 &&
    typeof mtimeNs === 'string' &&
    /^-?\d{1,19}$/.test(mtimeNs)
  );
}

/** Order, limits and consistency of the records of one archive: each is shown to it, in order. */
export class RecordOrder {
  readonly #limits: ArchiveLimits;
  readonly #known: ReadonlySet<string>;
  readonly #last = new Map<string, EntryRecord>();
  #path: string | undefined;
  count = 0;

  /** `instances`: those of the manifest that have a tree. */
  constructor(instances: Iterable<string>, limits: ArchiveLimits = ARCHIVE_LIMITS) {
    this.#known = new Set(instances);
    this.#limits = limits;
  }

  /** Throws ARCHIVE_INVALID. */
  next(record: EntryRecord): void {
    const { path } = record;
    if (++this.count > this.#limits.entries) {
      throw archiveInvalid(`it has more than ${this.#limits.entries} entries`, {
        hint: 'Export the components one by one.',
      });
    }
    if (path.split('/').length > this.#limits.depth) throw archiveInvalid('directories nest too deep');
    if (this.#path !== undefined && compareLayoutPaths(this.#path, path) > 0) {
      throw archiveInvalid(`"${printable(path)}" stands in the wrong place of entries.jsonl`);
    }
    this.#path = path;
    for (const instance of Object.keys(record.in)) {
      if (!this.#known.has(instance))
        throw archiveInvalid(`"${printable(path)}" is in a component that its manifest lacks`);
      const last = this.#last.get(instance);
      if (last?.path === path) throw archiveInvalid(`"${printable(path)}" is in ${instance} twice`);
      if (last !== undefined && last.kind !== 'directory' && isAtOrBelow(path, last.path)) {
        throw archiveInvalid(`"${printable(path)}" lies below something that is no directory`);
      }
      this.#last.set(instance, record);
    }
  }
}

import { isAtOrBelow } from '@foodsave-backup/component';
import type { EntryRecord } from './records.ts';

/** The one folder of an archive that holds nothing of the application. */
export const RESERVED_FOLDER = '.foodsave-backup';
export const MANIFEST_NAME = `${RESERVED_FOLDER}/manifest.json`;
export const RECORDS_NAME = `${RESERVED_FOLDER}/entries.jsonl`;
export const CHECKSUMS_NAME = `${RESERVED_FOLDER}/SHA256SUMS`;
const RENAMED_FOLDER = `${RESERVED_FOLDER}/renamed`;
const PATH_BYTES = 3584;

/**
 * Whether every unzip and tar lays a path out as it is: Unicode, no control characters, no backslash, no drive letter, not in
 * the reserved folder, and with room for a target directory in what a system call takes for a path (PATH_MAX, 4,096).
 */
function isStorable(path: string): boolean {
  if (Buffer.byteLength(path) > PATH_BYTES) return false;
  return path.isWellFormed() && !/[\p{Cc}\\]|^[a-z]:/iu.test(path) && !isAtOrBelow(path.toLowerCase(), RESERVED_FOLDER);
}

/**
 * Where each entry lies in an archive, decided alike by writer and reader: at its own path where that can be; a file that
 * cannot, at `.foodsave-backup/renamed/<n>`. Directories and links that cannot are in the records only.
 */
export class Placer {
  /** Last path that an entry of the archive has. */
  #last: string | undefined;
  /** Last path of a file or link: nothing lies below it. */
  #leaf: string | undefined;
  #renamed = 0;

  /** Records come in the order of the archive. `undefined`: no entry of its own. */
  place(record: Pick<EntryRecord, 'path' | 'kind' | 'target'>): string | undefined {
    const { path, kind, target } = record;
    const taken = path === this.#last || (this.#leaf !== undefined && isAtOrBelow(path, this.#leaf));
    const fits = !taken && isStorable(path);
    if (kind === 'file' && !fits) return `${RENAMED_FOLDER}/${++this.#renamed}`;
    if (!fits || !hasEntry(kind) || (kind === 'symlink' && !isStorableTarget(target))) return undefined;
    this.#last = path;
    if (kind !== 'directory') this.#leaf = path;
    return path;
  }
}

/** What ZIP and tar both know. Anything else is in the records only. */
function hasEntry(kind: string): boolean {
  return kind === 'file' || kind === 'directory' || kind === 'symlink';
}

function isStorableTarget(target: string | undefined): boolean {
  return target !== undefined && target !== '' && target.isWellFormed() && !target.includes('\0');
}

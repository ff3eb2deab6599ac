import { BackupError } from '@foodsave-backup/kernel';
import { malformed } from './bytes.ts';
import type { RepositoryKeys } from './keys.ts';
import { FORMAT_VERSION } from './limits.ts';

export const HEADER_BYTES = 64;
const MAGIC = Buffer.from('FSBACKUP', 'latin1');

export const OBJECT_KIND = { pack: 1, index: 2, manifest: 3, note: 4 } as const;
export type ObjectKind = (typeof OBJECT_KIND)[keyof typeof OBJECT_KIND];

/** Where packs lie, by folder code. */
export const FOLDERS = ['meta', 'database', 'files', 'config', 'vector_store', 'custom'] as const;
export type Folder = (typeof FOLDERS)[number];

export function folderOfType(componentType: string): Folder {
  return componentType !== 'meta' && (FOLDERS as readonly string[]).includes(componentType)
    ? (componentType as Folder)
    : 'custom';
}

export function folderOfCode(code: number): Folder {
  const folder = FOLDERS[code];
  if (folder === undefined) throw malformed(`unknown folder code ${code}`);
  return folder;
}

export interface ObjectHeader {
  kind: ObjectKind;
  folder: Folder;
  salt: Buffer;
  /** The 64 bytes themselves: the additional data of what follows. */
  bytes: Buffer;
}

/**
 * `salt`: 32 random bytes from the caller. Without encryption only packs keep it, so that no two packs ever have one name;
 * elsewhere it is zeros.
 */
export function makeHeader(keys: RepositoryKeys, kind: ObjectKind, folder: Folder, salt: Uint8Array): ObjectHeader {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes[8] = FORMAT_VERSION;
  bytes[9] = kind;
  bytes[10] = keys.encrypted ? 1 : 0;
  bytes[11] = FOLDERS.indexOf(folder);
  keys.repositoryId.copy(bytes, 16);
  if (keys.encrypted || kind === OBJECT_KIND.pack) bytes.set(salt, 32);
  return { kind, folder, salt: bytes.subarray(32, 64), bytes };
}

/** Parses and checks a header against what the caller expects. Throws DATA_DAMAGED or FORMAT_TOO_NEW. */
export function readHeader(keys: RepositoryKeys, object: Uint8Array, kind: ObjectKind): ObjectHeader {
  if (object.length < HEADER_BYTES) throw malformed('it is shorter than its header');
  const bytes = Buffer.from(object.buffer, object.byteOffset, HEADER_BYTES);
  if (!bytes.subarray(0, 8).equals(MAGIC)) throw malformed('it does not start with FSBACKUP');
  const version = bytes.readUInt8(8);
  if (version > FORMAT_VERSION) {
    throw new BackupError(
      'FORMAT_TOO_NEW',
      `An object has format version ${version}; this software knows ${FORMAT_VERSION}`,
      {
        hint: 'Update this software.',
      },
    );
  }
  if (version !== FORMAT_VERSION) throw malformed(`format version ${version}`);
  if (bytes[9] !== kind) throw malformed('it is an object of another kind');
  if (bytes[10] !== (keys.encrypted ? 1 : 0)) throw malformed('its encryption differs from the repository');
  if (bytes.readUInt32LE(12) !== 0) throw malformed('reserved bytes are set');
  if (!bytes.subarray(16, 32).equals(keys.repositoryId)) throw malformed('it belongs to another repository');
  const folder = folderOfCode(bytes.readUInt8(11));
  if (kind !== OBJECT_KIND.pack && folder !== 'meta') throw malformed('reserved bytes are set');
  if (!keys.encrypted && kind !== OBJECT_KIND.pack && bytes.subarray(32).some((b) => b !== 0)) {
    throw malformed('reserved bytes are set');
  }
  return { kind, folder, salt: bytes.subarray(32, 64), bytes };
}

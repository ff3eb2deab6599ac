import type { BlobEntry } from './blob.ts';
import { ByteWriter, idOf, malformed, numberOf, readFields, unknownField } from './bytes.ts';
import { FOLDERS, folderOfCode, type Folder } from './header.ts';
import { LIMITS } from './limits.ts';
import { decodeDirectory, encodeDirectory } from './pack.ts';

export interface IndexedPack {
  hash: Buffer;
  folder: Folder;
  /** Bytes. */
  size: number;
  blobs: BlobEntry[];
}

export function encodeIndex(packs: readonly IndexedPack[], replaces: readonly Uint8Array[] = []): Buffer {
  const w = new ByteWriter(4096);
  for (const pack of packs) {
    const directory = encodeDirectory(pack.blobs);
    const record = new ByteWriter(directory.length + 64)
      .field(1, pack.hash)
      .numberField(3, FOLDERS.indexOf(pack.folder))
      .numberField(5, pack.size)
      .field(7, directory);
    w.field(1, record.finish());
  }
  for (const hash of replaces) w.field(2, hash);
  return w.finish();
}

export function decodeIndex(content: Uint8Array): { packs: IndexedPack[]; replaces: Buffer[] } {
  const packs: IndexedPack[] = [];
  const replaces: Buffer[] = [];
  for (const [tag, value] of readFields(content)) {
    if (tag === 1) packs.push(decodePack(value));
    else if (tag === 2) replaces.push(idOf(value));
    else unknownField(tag, 'an index file');
  }
  return { packs, replaces };
}

function decodePack(record: Uint8Array): IndexedPack {
  let hash: Buffer | undefined;
  let folder: Folder | undefined;
  let size: number | undefined;
  let directory: Buffer | undefined;
  for (const [tag, value] of readFields(record, [1, 3, 5, 7])) {
    if (tag === 1) hash = idOf(value);
    else if (tag === 3) folder = folderOfCode(numberOf(value));
    else if (tag === 5) size = numberOf(value);
    else if (tag === 7) directory = value;
    else unknownField(tag, 'an index file');
  }
  if (hash === undefined || folder === undefined || size === undefined || directory === undefined) {
    throw malformed('a pack of the index is incomplete');
  }
  if (size > LIMITS.packBytes) throw malformed('size of a pack');
  return { hash, folder, size, blobs: decodeDirectory(directory, size) };
}

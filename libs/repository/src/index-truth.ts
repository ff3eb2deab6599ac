import {
  decodeIndex,
  encodeDirectory,
  FOLDERS,
  OBJECT_KIND,
  openObject,
  sha256,
  type IndexedPack,
} from '@foodsave-backup/format';
import { toBackupError } from '@foodsave-backup/kernel';
import { hashOfKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** An index file, and why it is of no use: it is damaged, or says otherwise than the packs. */
export interface JudgedIndexFile {
  key: string;
  fault?: string;
}

/** Bytes of directories that one index file is given: far below what an object may hold. */
const INDEX_FILE_BYTES = 16 * 1024 * 1024;

/** Compares every index file with what the packs themselves say. `packs`: by hex hash. */
export async function judgeIndexFiles(
  { storage, keys }: Repository,
  packs: ReadonlyMap<string, IndexedPack>,
): Promise<{ files: JudgedIndexFile[]; unnamed: IndexedPack[] }> {
  const directories = new Map([...packs].map(([name, { blobs }]) => [name, encodeDirectory(blobs)]));
  const named = new Set<string>();
  const files: JudgedIndexFile[] = [];
  for await (const { key } of storage.list('index/')) {
    const hash = hashOfKey(key);
    if (hash === undefined) continue;
    try {
      const bytes = await storage.get(key);
      if (!sha256(bytes).equals(hash)) throw new Error('its SHA-256 is not its name');
      for (const pack of decodeIndex(openObject(keys, OBJECT_KIND.index, bytes)).packs) {
        const name = pack.hash.toString('hex');
        const truth = packs.get(name);
        if (truth === undefined) throw new Error(`it names a pack that is not there or is damaged (${name})`);
        const same = truth.folder === pack.folder && truth.size === pack.size;
        if (!same || directories.get(name)?.equals(encodeDirectory(pack.blobs)) !== true) {
          throw new Error(`it describes pack ${name} otherwise than the pack does`);
        }
        named.add(name);
      }
      files.push({ key });
    } catch (error) {
      const known = toBackupError(error);
      if (known.code === 'FORMAT_TOO_NEW' || known.code === 'CANCELLED') throw known;
      files.push({ key, fault: known.message });
    }
  }
  return { files, unnamed: [...packs].flatMap(([name, pack]) => (named.has(name) ? [] : [pack])) };
}

/** New index files for these packs in place of `old`. Each is durable before it returns; the old ones are not deleted yet. */
export async function writeIndexAnew(
  { indexStore }: Repository,
  packs: Iterable<IndexedPack>,
  old: readonly string[],
): Promise<Set<string>> {
  const written = new Set<string>();
  let replaces = old.map((key) => hashOfKey(key)).filter((hash) => hash !== undefined);
  let batch: IndexedPack[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const key = await indexStore.write(batch, replaces);
    if (key !== undefined) written.add(key);
    batch = [];
    bytes = 0;
    replaces = [];
  };
  for (const pack of packs) {
    batch.push(pack);
    for (const { frames } of pack.blobs) bytes += 64 + frames.length * 40;
    if (bytes >= INDEX_FILE_BYTES) await flush();
  }
  await flush();
  return written;
}

/** Every pack file by its place, in a fixed order. */
export async function packFiles({
  storage,
}: Repository): Promise<{ key: string; folder: IndexedPack['folder']; hash: Buffer; size: number }[]> {
  const found: { key: string; folder: IndexedPack['folder']; hash: Buffer; size: number }[] = [];
  for (const folder of FOLDERS) {
    for await (const { key, size } of storage.list(`${folder}/`)) {
      const hash = hashOfKey(key);
      if (hash !== undefined && key.endsWith('.pack')) found.push({ key, folder, hash, size });
    }
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

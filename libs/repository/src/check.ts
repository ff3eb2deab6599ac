import { toBackupError } from '@foodsave-backup/kernel';
import { encodeDirectory, FOLDERS, parseKeyFile, type BlobEntry, type Folder } from '@foodsave-backup/format';
import { MAX_OBJECT_BYTES } from '@foodsave-backup/storage';
import { affectedBy, type Affected } from './affected.ts';
import { aheadOf, PACKS_AT_ONCE } from './ahead-of.ts';
import type { BlobIndex } from './blob-index.ts';
import { loadDecoder } from './load-decoder.ts';
import { knownDamage, rememberDamage } from './known-damage.ts';
import { hashOfKey, packObjectKey } from './layout.ts';
import { NoteStore } from './notes.ts';
import { examinePack, readableBlobs, type PackExamination } from './pack-examination.ts';
import { loadPresent } from './present.ts';
import { quarantined } from './quarantine.ts';
import { Marker, unusedPacks } from './reachable.ts';
import type { Repository } from './repository.ts';
import { brokenTwins } from './twins.ts';

/** Something of the repository that is not as it was written. */
export interface Damage {
  kind: 'pack' | 'index' | 'manifest' | 'repository' | 'key' | 'note';
  /** Object key; of a manifest the name of its backup when both copies are concerned. */
  what: string;
  reason: string;
  /** What mends it, in one sentence. */
  remedy: string;
  /** Of a manifest. */
  backup?: string;
}

export interface CheckReport {
  status: 'ok' | 'damaged';
  backups: number;
  packs: number;
  blobs: number;
  /** Bytes that were read and compared; only the structure without `readData`. */
  checkedBytes: number;
  damaged: Damage[];
  /** What the damage costs: backups and files that cannot be restored whole. */
  affected: Affected;
  /** Not damage: what a crash may leave behind, and what cleanup will remove. */
  unreferencedPacks: number;
  unreferencedBytes: number;
  unconfirmed: string[];
  /** What was not looked at or could not be noted, and why. */
  notes: string[];
}

export interface CheckOptions {
  /** Read every pack, decode every frame. */
  readData: boolean;
  /** Part `n` of `t` of the packs, by their names. */
  subset?: { n: number; t: number };
  progress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

const REMEDY = {
  damagedPack:
    'Run "repair packs": it saves what is whole of it. The next backup stores again what the source still has.',
  absentPack: 'Put it back from a copy, or run "repair packs". The next backup stores again what the source still has.',
  index: 'Run "repair index".',
  manifestCopy: 'Run "repair index": it writes this copy again from the good one.',
  manifest: 'Put it back from a copy of the repository, or delete the backup.',
  repository: 'Run "repair index": it writes both copies again.',
  key: 'Add a key with "key add", then remove this one with "key remove".',
  note: 'It may have been a hold: hold again what has to stay, then delete this file.',
} as const;

/**
 * Checks the whole repository: both copies of what is kept twice, every tree of every backup, and with `readData` every byte.
 * Packs that were found damaged before are read in any case. What is found is noted, so that no new backup relies on it.
 */
export async function checkRepository(repository: Repository, options: CheckOptions): Promise<CheckReport> {
  const { signal } = options;
  const damaged: Damage[] = [];
  await checkTwins(repository, damaged);
  await checkKeyFiles(repository, damaged);
  const known = await checkNotes(repository, damaged);
  const listing = await repository.manifests.list(signal);
  for (const { name, reason } of listing.damaged) {
    damaged.push({ kind: 'manifest', what: name, reason, remedy: REMEDY.manifest, backup: name });
  }
  const { load, missing } = await loadPresent(repository, signal);
  for (const { key, reason } of load.damaged) damaged.push({ kind: 'index', what: key, reason, remedy: REMEDY.index });
  const resized = await putBackResized(repository, load.index, missing);
  for (const key of missing) {
    if (resized.has(key)) continue;
    damaged.push({ kind: 'pack', what: key, reason: 'it is missing', remedy: REMEDY.absentPack });
  }
  const packs = await checkPacks(repository, load.index, options, { known: new Set([...known, ...resized]), damaged });
  const { blobs } = repository.reader(load);
  const marker = new Marker(repository, load.index, blobs);
  const affected = await affectedBy(marker, listing.manifests, signal);
  const unused = unusedPacks(load.index, marker.usedPacks);
  return {
    status: damaged.length === 0 && affected.fileCount === 0 ? 'ok' : 'damaged',
    backups: listing.manifests.length,
    packs: load.index.packCount,
    blobs: load.index.blobCount,
    checkedBytes: packs.checkedBytes,
    damaged,
    affected,
    unreferencedPacks: unused.length,
    unreferencedBytes: unused.reduce((sum, pack) => sum + pack.size, 0),
    unconfirmed: listing.unconfirmed.map((m) => m.name),
    notes: [...packs.notes, ...(await quarantineNotes(repository))],
  };
}

/** `repository.json` and the manifests are kept twice; a copy that differs is damage even while the other is good. */
async function checkTwins(repository: Repository, damaged: Damage[]): Promise<void> {
  for (const { bad, good, reason, name } of await brokenTwins(repository)) {
    // Both bad: the listing of manifests says so, with its backup; without repository.json nothing is opened.
    if (good === undefined) continue;
    const kind = name === undefined ? 'repository' : 'manifest';
    const remedy = name === undefined ? REMEDY.repository : REMEDY.manifestCopy;
    const text = `${reason}; its other copy ${good} is good`;
    damaged.push({ kind, what: bad, reason: text, remedy, ...(name === undefined ? {} : { backup: name }) });
  }
}

/** The form and the checksum of every key file: a damaged one may be the only one that a person has the secret of. */
async function checkKeyFiles({ storage }: Repository, damaged: Damage[]): Promise<void> {
  for await (const { key } of storage.list('keys/')) {
    if (!key.endsWith('.json')) continue;
    try {
      parseKeyFile(await storage.get(key));
    } catch (error) {
      if ((await storage.stat(key)) === undefined) continue;
      damaged.push({ kind: 'key', what: key, reason: toBackupError(error).message, remedy: REMEDY.key });
    }
  }
}

/** Every note, read anew. Returns the packs that notes call damaged. */
async function checkNotes({ storage, keys, clock }: Repository, damaged: Damage[]): Promise<Set<string>> {
  const store = new NoteStore(storage, keys, clock);
  for (const key of (await store.scan()).unreadable) {
    damaged.push({ kind: 'note', what: key, reason: 'it cannot be read', remedy: REMEDY.note });
  }
  return knownDamage(store);
}

/** A pack of another size than the index says may still hold something: the index has it again, and it is read in any case. */
async function putBackResized(
  repository: Repository,
  index: BlobIndex,
  missing: readonly string[],
): Promise<Set<string>> {
  const resized = new Set<string>();
  if (missing.length === 0) return resized;
  const { index: all } = await repository.loadIndex();
  for (const pack of all.packs()) {
    const key = packObjectKey(pack.folder, pack.hash);
    if (!missing.includes(key) || (await repository.storage.stat(key)) === undefined) continue;
    resized.add(key);
    index.addPack({ ...pack, blobs: [...all.blobsOf(pack.hash)] });
  }
  return resized;
}

interface Finding {
  /** Object keys of packs that are read in any case. */
  known: ReadonlySet<string>;
  damaged: Damage[];
}

interface PackFile {
  key: string;
  folder: Folder;
  hash: Buffer;
  /** Bytes. */
  size: number;
}

interface Examined extends PackExamination {
  /** What the index says of it. */
  indexed: readonly BlobEntry[];
  /** What its bytes lie in. */
  memory: Uint8Array;
}

/** Examines packs, and has `index` say what is whole of the damaged ones. */
async function checkPacks(
  repository: Repository,
  index: BlobIndex,
  options: CheckOptions,
  { known, damaged }: Finding,
): Promise<{ checkedBytes: number; notes: string[] }> {
  const packs: PackFile[] = [];
  const present = new Set<string>();
  for (const folder of FOLDERS) {
    for await (const { key, size } of repository.storage.list(`${folder}/`)) {
      const hash = hashOfKey(key);
      if (hash === undefined) continue;
      present.add(key);
      const { n = 1, t = 1 } = options.subset ?? {};
      const asked = options.readData && hash.readUInt32LE(0) % t === n - 1;
      if (asked || known.has(key)) packs.push({ key, folder, hash, size });
    }
  }
  const total = packs.reduce((sum, pack) => sum + pack.size, 0);
  const found: string[] = [];
  const cleared = [...known].filter((key) => !present.has(key));
  let done = 0;
  const decoder = await loadDecoder();
  const examine = async ({ key, hash, size }: PackFile): Promise<Examined> => {
    options.signal?.throwIfAborted();
    const indexed = [...index.blobsOf(hash)];
    const memory = decoder.take(Math.min(size, MAX_OBJECT_BYTES));
    return { ...(await examinePack(repository, key, indexed, memory)), indexed, memory };
  };
  for await (const { item, result } of aheadOf(packs, PACKS_AT_ONCE, examine)) {
    options.signal?.throwIfAborted();
    done += item.size;
    const verdict = judge(index, item, result, damaged);
    // Only now: blobs of a pack that is not encrypted are views of it.
    decoder.give(result.memory);
    options.progress?.(done, total);
    if (verdict === 'damaged') found.push(item.key);
    if (verdict === 'whole') cleared.push(item.key);
  }
  return { checkedBytes: options.readData ? done : 0, notes: await remember(repository, found, cleared) };
}

/** What was found of one pack: lists its damage, and has `index` say what is whole of it. */
function judge(
  index: BlobIndex,
  { key, folder, hash, size }: PackFile,
  examination: Examined,
  damaged: Damage[],
): 'gone' | 'whole' | 'damaged' {
  const { reason, gone, indexed } = examination;
  // Cleanup may have removed it meanwhile.
  if (gone) return 'gone';
  if (reason !== undefined) {
    damaged.push({ kind: 'pack', what: key, reason, remedy: REMEDY.damagedPack });
  } else if (!index.hasPack(hash) || encodeDirectory(indexed).equals(encodeDirectory(examination.blobs))) {
    // As it should be, or written since the index was read.
    return 'whole';
  } else {
    const text = 'the index describes it otherwise than it does itself';
    damaged.push({ kind: 'index', what: key, reason: text, remedy: REMEDY.index });
  }
  const blobs = readableBlobs(examination, indexed);
  index.removePack(hash);
  if (blobs.length > 0) index.addPack({ hash, folder, size, blobs });
  return reason === undefined ? 'whole' : 'damaged';
}

async function quarantineNotes({ storage }: Repository): Promise<string[]> {
  const { objects, bytes } = await quarantined(storage);
  if (objects === 0) return [];
  return [
    `quarantine/ holds ${objects} damaged objects (${bytes} bytes) that no backup uses. Delete them when you like.`,
  ];
}

/** A check of a medium that cannot be written is still a check. */
async function remember(repository: Repository, found: string[], cleared: string[]): Promise<string[]> {
  try {
    await rememberDamage(repository, { damaged: found, cleared });
    return [];
  } catch (error) {
    return [`The damage could not be noted in the repository: ${toBackupError(error).message}`];
  }
}

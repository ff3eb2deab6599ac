import { BackupError } from '@foodsave-backup/kernel';
import { blobLength, isWhole, type BlobEntry, type Folder, type IndexedPack } from '@foodsave-backup/format';
import { BlobIndex } from './blob-index.ts';
import { BlobCopier } from './copier.ts';
import { judgeIndexFiles, packFiles, writeIndexAnew } from './index-truth.ts';
import { rememberDamage } from './known-damage.ts';
import { hashOfKey, packObjectKey } from './layout.ts';
import { examinePack } from './pack-examination.ts';
import { quarantine, quarantineKey } from './quarantine.ts';
import {
  affectedWith,
  mendTwins,
  unnamedPacks,
  type RepairAction,
  type RepairOptions,
  type RepairReport,
} from './repair.ts';
import type { Repository } from './repository.ts';

interface DamagedPack {
  key: string;
  folder: Folder;
  hash: Buffer;
  size: number;
  reason: string;
  /** Whole in it, and in no good pack. */
  salvage: BlobEntry[];
}

/** What every pack was found to be. */
interface Survey {
  /** By hex hash. */
  good: Map<string, IndexedPack>;
  damaged: DamagedPack[];
  /** Where packs lie that a dry run would move, by hex hash. */
  found: Map<string, Folder>;
  actions: RepairAction[];
}

/**
 * Reads every pack. The blobs that are whole in a damaged one go to new packs; the damaged one goes to quarantine and is never
 * deleted. The index then names what is there, and no note calls a pack damaged that is gone. Repairs what `repairIndex` does
 * as well. The caller holds the repository alone.
 *
 * Each step is durable before the next: the copy in quarantine; new packs, read back; the new index; only then the damaged pack
 * goes, and the old index. A crash leaves more than is needed, never less, and the next repair goes on.
 */
export async function repairPacks(repository: Repository, options: RepairOptions): Promise<RepairReport> {
  const actions = await mendTwins(repository, options);
  const survey = await surveyPacks(repository, options);
  actions.push(...survey.actions);
  const index = new BlobIndex();
  for (const [name, pack] of survey.good) index.addPack({ ...pack, folder: survey.found.get(name) ?? pack.folder });
  for (const pack of survey.damaged) actions.push(await putAside(repository, pack, options.dryRun));
  const written = options.dryRun ? planned(survey, index) : await salvageBlobs(repository, survey);
  for (const pack of written) index.addPack(pack);

  const packs = new Map([...survey.good, ...written.map((pack) => [pack.hash.toString('hex'), pack] as const)]);
  const { files, unnamed } = await judgeIndexFiles(repository, packs);
  for (const { key, fault } of files) {
    if (fault !== undefined) actions.push({ did: 'rebuilt', what: key, reason: fault });
  }
  const fresh = new Set(written.map(({ hash }) => hash.toString('hex')));
  const forgotten = unnamed.filter(({ hash }) => !fresh.has(hash.toString('hex')));
  if (forgotten.length > 0) actions.push(unnamedPacks(forgotten.length));
  const wanting = unnamed.length > 0 || files.some(({ fault }) => fault !== undefined);
  const old = files.map(({ key }) => key);
  const kept = wanting && !options.dryRun ? await writeIndexAnew(repository, packs.values(), old) : new Set(old);
  if (!options.dryRun) {
    for (const { did, what } of actions) {
      const isFresh = fresh.has(hashOfKey(what)?.toString('hex') ?? '');
      if (did === 'quarantined' && !isFresh) await repository.storage.delete(what);
    }
    for (const key of old) if (!kept.has(key)) await repository.storage.delete(key);
    await forgetNotes(repository, survey, actions);
  }
  const salvaged = survey.damaged.flatMap(({ salvage }) => salvage);
  return {
    dryRun: options.dryRun,
    actions,
    salvagedBlobs: salvaged.length,
    salvagedBytes: salvaged.reduce((sum, blob) => sum + blobLength(blob), 0),
    affected: await affectedWith(repository, index, options.signal),
  };
}

/** Examines every pack; one that is whole but lies in the wrong folder is moved. */
async function surveyPacks(repository: Repository, { dryRun, progress, signal }: RepairOptions): Promise<Survey> {
  const { storage } = repository;
  const known = (await repository.loadIndex(signal)).index;
  const survey: Survey = { good: new Map(), damaged: [], found: new Map(), actions: [] };
  const files = await packFiles(repository);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const present = new Set<string>();
  let done = 0;
  for (const { key, folder, hash, size } of files) {
    signal?.throwIfAborted();
    const { reason, gone, blobs, belongs, bytes } = await examinePack(repository, key, known.blobsOf(hash));
    done += size;
    progress?.(done, total);
    if (gone) continue;
    present.add(hash.toString('hex'));
    if (reason === undefined) survey.good.set(hash.toString('hex'), { hash, folder, size, blobs });
    else if (belongs !== undefined && bytes !== undefined) {
      const to = packObjectKey(belongs, hash);
      survey.actions.push({ did: 'moved', what: key, reason, to });
      survey.good.set(hash.toString('hex'), { hash, folder: belongs, size, blobs });
      if (dryRun) survey.found.set(hash.toString('hex'), folder);
      if (dryRun) continue;
      await storage.put(to, bytes);
      await storage.delete(key);
    } else survey.damaged.push({ key, folder, hash, size, reason, salvage: blobs });
  }
  for (const pack of known.packs()) {
    if (present.has(pack.hash.toString('hex'))) continue;
    const what = packObjectKey(pack.folder, pack.hash);
    survey.actions.push({ did: 'forgotten', what, reason: 'it is missing' });
  }
  const there = new Set<string>();
  for (const { blobs } of survey.good.values()) {
    // Of a punched one, what a damaged pack holds may be more.
    for (const { id, frames } of blobs) if (isWhole(frames)) there.add(id.toString('latin1'));
  }
  for (const pack of survey.damaged) {
    pack.salvage = pack.salvage.filter(({ id }) => {
      const name = id.toString('latin1');
      return !there.has(name) && there.add(name);
    });
  }
  return survey;
}

/** Stores what is whole of the damaged packs in new ones, which are read back. */
async function salvageBlobs(repository: Repository, survey: Survey): Promise<readonly IndexedPack[]> {
  const copier = new BlobCopier(repository);
  for (const { key, folder, salvage } of survey.damaged) {
    if (salvage.length === 0) continue;
    const { bytes, frameKey } = await examinePack(repository, key, salvage);
    if (bytes === undefined) throw changed(key);
    const failed = await copier.copyFrom({ folder, bytes, key: frameKey }, salvage);
    if (failed.length > 0) throw changed(key);
  }
  return copier.finish();
}

function changed(key: string): BackupError {
  return new BackupError('IO_ERROR', `${key} can no longer be read`, {
    hint: 'The disk may be failing. Nothing was moved or deleted; copy the repository elsewhere and repair the copy.',
  });
}

/** For a dry run: what would be salvaged counts as present where it lies. */
function planned({ damaged }: Survey, index: BlobIndex): readonly IndexedPack[] {
  for (const { hash, folder, size, salvage } of damaged) index.addPack({ hash, folder, size, blobs: salvage });
  return [];
}

/** Copies a damaged pack to quarantine. One that cannot be read or copied stays where it is. */
async function putAside({ storage }: Repository, { key, reason }: DamagedPack, dryRun: boolean): Promise<RepairAction> {
  const bytes = await storage.get(key).catch(() => undefined);
  const to =
    bytes === undefined ? undefined : dryRun ? quarantineKey(key, bytes) : await quarantine(storage, key, bytes);
  if (to === undefined) return { did: 'left', what: key, reason: `${reason}; it cannot be moved` };
  return { did: 'quarantined', what: key, reason, to };
}

/** Packs that were left are still damaged; all others are whole or gone. */
async function forgetNotes(repository: Repository, survey: Survey, actions: readonly RepairAction[]): Promise<void> {
  const left = new Set(actions.flatMap(({ did, what }) => (did === 'left' ? [what] : [])));
  const damaged = survey.damaged.map(({ key }) => key).filter((key) => left.has(key));
  await rememberDamage(repository, { damaged, cleared: [], instead: true });
}

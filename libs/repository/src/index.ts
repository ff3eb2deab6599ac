export { Repository, type InitOptions, type OpenOptions } from './repository.ts';
export { mergeIndex } from './index-merge.ts';
export { ManifestStore, isAbsent, type ManifestListing } from './manifest-store.ts';
export { LeaseStore, NO_LEASE, type Lease, type LeaseRequest, type LeaseState, type LeaseView } from './leases.ts';
export { isAlive, thisProcess, type LeaseOwner } from './owner.ts';
export {
  NoteStore,
  type HoldNote,
  type Note,
  type NoteScan,
  type StoredNote,
  type VerificationNote,
  type VerifyLevel,
} from './notes.ts';
export { KeyStore, type StoredKey } from './key-store.ts';
export { BackupSession, ComponentWriter, type ComponentTotals } from './session.ts';
export type { CodecOptions } from './codec.ts';
export { SMALL_FILE_BYTES } from './solid-writer.ts';
export { loadPresent } from './present.ts';
export { secureBackup, type Secured } from './secure.ts';
export { BlobReader } from './blob-reader.ts';
export { PortableDecoder, type FrameDecoder } from './frame-decoder.ts';
export { BlobIndex, type BlobLocation, type PackRef } from './blob-index.ts';
export { IndexStore, type IndexLoad } from './index-store.ts';
export { TreeReader, type WalkedEntry } from './tree-reader.ts';
export { FilesAhead, readContent, readPieces, type ReadOptions } from './extent-reader.ts';
export type { FileName } from './linked-files.ts';
export type { Affected, AffectedFile } from './affected.ts';
export { confirmDamage, forgetDamage } from './known-damage.ts';
export { repairIndex, type RepairAction, type RepairOptions, type RepairReport, type RepairVerb } from './repair.ts';
export { repairPacks } from './repair-packs.ts';
export { checkRepository, type CheckOptions, type CheckReport, type Damage } from './check.ts';
export { prunePacks, type PruneOptions, type PruneReport } from './prune.ts';
export { Marker, type Missing } from './reachable.ts';
export type { PageSource } from './paged-writer.ts';
export { packObjectKey, hashOfKey } from './layout.ts';
export {
  FOLDERS,
  folderOfType,
  type FileEntry,
  type Folder,
  type Manifest,
  type ManifestComponent,
  type TreeEntry,
  type TreeMeta,
  type TreeRecord,
  type TreeXattr,
} from '@foodsave-backup/format';

import { blobLength, hasBytes, storedLength, type BlobEntry, type ByteSpan } from '@foodsave-backup/format';
import type { BlobIndex } from './blob-index.ts';
import { PACK_TARGET } from './blob-writer.ts';
import { packObjectKey } from './layout.ts';
import { bytesLeft } from './punch.ts';
import type { Usage } from './usage.ts';

/** Dead bytes may be this part of all packs: beyond it, those with the most of them are rewritten (docs/decisions/fragmentation.md). */
const DEAD_MAX = 0.2;
/** Packs below this size are merged when a folder has this many of them. */
const SMALL_BYTES = PACK_TARGET / 16;
const SMALL_MANY = 16;
/** Bytes that are copied before the packs they come from are deleted: how much room a prune needs for a while. */
const BATCH_BYTES = 128 * 1024 * 1024;

export interface Candidate {
  key: string;
  size: number;
  /** Stored bytes of what backups need of it. */
  live: number;
}

/**
 * Which packs go, in batches that are condemned, emptied and deleted one after the other. First those of which nothing is
 * needed; then, as far as dead bytes exceed their bound, the deadest; then small ones, to be merged.
 */
export function selectPacks(packs: readonly Candidate[]): Candidate[][] {
  const dead = packs.filter(({ live }) => live === 0);
  const rest = packs.filter(({ live }) => live > 0);
  const chosen = new Set([...fragmented(rest)]);
  for (const pack of small(rest.filter((one) => !chosen.has(one)))) chosen.add(pack);
  const batches: Candidate[][] = dead.length > 0 ? [dead] : [];
  let batch: Candidate[] = [];
  let bytes = 0;
  for (const pack of [...chosen].sort(byFolderAndKey)) {
    if (bytes + pack.live > BATCH_BYTES && batch.length > 0) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(pack);
    bytes += pack.live;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

function* fragmented(packs: readonly Candidate[]): Generator<Candidate> {
  let total = packs.reduce((sum, pack) => sum + pack.size, 0);
  let dead = packs.reduce((sum, pack) => sum + deadOf(pack), 0);
  const worst = [...packs].sort((a, b) => deadOf(b) / b.size - deadOf(a) / a.size || (a.key < b.key ? -1 : 1));
  for (const pack of worst) {
    if (dead <= DEAD_MAX * total) return;
    yield pack;
    dead -= deadOf(pack);
    total -= deadOf(pack);
  }
}

const deadOf = ({ size, live }: Candidate): number => size - live;

function small(packs: readonly Candidate[]): Candidate[] {
  const folders = new Map<string, Candidate[]>();
  for (const pack of packs) {
    if (pack.size >= SMALL_BYTES) continue;
    const folder = folderOf(pack);
    folders.set(folder, [...(folders.get(folder) ?? []), pack]);
  }
  return [...folders.values()].filter((many) => many.length >= SMALL_MANY).flat();
}

function folderOf({ key }: Candidate): string {
  return key.slice(0, key.indexOf('/'));
}

/** One folder after the other, so that few new packs are open at a time. */
function byFolderAndKey(a: Candidate, b: Candidate): number {
  return a.key < b.key ? -1 : 1;
}

/** Stored bytes of each pack (by key) that are needed, directory and all: a blob counts where it is read from. */
export function liveBytes(index: BlobIndex, usage: Usage, condemned: ReadonlySet<string>): Map<string, number> {
  const live = new Map<string, number>();
  for (const id of usage.ids()) {
    const places = index.all(id).flatMap(({ pack, blob }) => {
      const needed = usage.of(id, blobLength(blob)) ?? [];
      return holds(blob, needed) ? [{ key: packObjectKey(pack.folder, pack.hash), left: bytesLeft(blob, needed) }] : [];
    });
    const kept = places.find(({ key }) => !condemned.has(key)) ?? places[0];
    if (kept !== undefined) live.set(kept.key, (live.get(kept.key) ?? 0) + kept.left);
  }
  for (const pack of index.packs()) {
    const key = packObjectKey(pack.folder, pack.hash);
    const needed = live.get(key);
    // Header, directory and end are neither dead nor alive: rewriting does not get rid of them.
    if (needed !== undefined) live.set(key, needed + pack.size - storedOf(index.blobsOf(pack.hash)));
  }
  return live;
}

/** Whether a copy of a blob has all that is needed of it. */
export function holds(blob: BlobEntry, needed: readonly ByteSpan[]): boolean {
  return needed.every(({ from, to }) => hasBytes(blob.frames, from, to));
}

function storedOf(blobs: readonly BlobEntry[]): number {
  return blobs.reduce((sum, blob) => sum + storedLength(blob), 0);
}

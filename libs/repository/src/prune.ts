import { BackupError, throwIfCancelled } from '@foodsave-backup/kernel';
import { blobLength, type BlobEntry, type IndexedPack, type Manifest } from '@foodsave-backup/format';
import { aheadOf } from './ahead-of.ts';
import type { PackRef } from './blob-index.ts';
import { condemn, readCondemned, type Condemned } from './condemned.ts';
import { BlobCopier } from './copier.ts';
import type { IndexLoad } from './index-store.ts';
import { knownDamage, rememberDamage } from './known-damage.ts';
import { packObjectKey } from './layout.ts';
import { loadPresent, presentPacks, removePacks } from './present.ts';
import { holds, liveBytes, selectPacks, type Candidate } from './prune-select.ts';
import { Marker } from './reachable.ts';
import type { Repository } from './repository.ts';

export interface PruneReport {
  /** Packs deleted, or that would be. */
  packs: number;
  /** Bytes of packs fewer than before: of the deleted ones, less those of the new ones. */
  freedBytes: number;
  /** Bytes of the new packs, into which what is needed of deleted ones was copied. */
  rewrittenBytes: number;
}

export interface PruneOptions {
  /** Reads and counts all that a real run would, and writes nothing. */
  dryRun: boolean;
  /** Names of backups that are to be counted as deleted (for a dry run). */
  doomed: ReadonlySet<string>;
  /** Throws when this run has lost its lease; called before each step that cannot be taken back. */
  assertHeld?: () => Promise<void>;
  signal?: AbortSignal;
}

/**
 * Deletes the packs that no backup needs, and rewrites some of those that hold little else. It runs beside everything but
 * another prune. In this order, each durable before the next: a note condemns packs; only then the manifests are listed;
 * what they need of condemned packs is copied; the index names the copies and the condemned packs no more; the packs go;
 * the note goes. An interrupted prune is finished by the next one. docs/decisions/prune-beside-create.md proves it.
 *
 * Throws REPOSITORY_DAMAGED while a manifest, a note or a tree cannot be read: what it needs is unknown then.
 */
export async function prunePacks(repository: Repository, options: PruneOptions): Promise<PruneReport> {
  const prune = await Prune.survey(repository, options);
  return prune.carryOut();
}

class Prune {
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #load: IndexLoad;
  readonly #marker: Marker;
  readonly #report: PruneReport = { packs: 0, freedBytes: 0, rewrittenBytes: 0 };
  /** Ids of the backups whose needs are marked. */
  readonly #marked = new Set<string>();
  #condemned: Condemned;
  /** The index names packs that are gone, or index files cannot be read. */
  #stale: boolean;

  private constructor(repository: Repository, options: PruneOptions, found: { load: IndexLoad; condemned: Condemned }) {
    this.#repository = repository;
    this.#options = options;
    this.#load = found.load;
    this.#condemned = found.condemned;
    this.#marker = new Marker(repository, found.load.index, repository.reader(found.load).blobs);
    this.#stale = found.load.damaged.length > 0;
  }

  static async survey(repository: Repository, options: PruneOptions): Promise<Prune> {
    const condemned = await readReadable(repository);
    // Before the index: packs of a backup that is published meanwhile are then in it.
    const manifests = await needed(repository, options);
    const { load, missing } = await loadPresent(repository, options.signal, await knownDamage(repository.notes));
    const prune = new Prune(repository, options, { load, condemned });
    prune.#stale ||= missing.length > 0;
    await prune.#mark(manifests);
    return prune;
  }

  async carryOut(): Promise<PruneReport> {
    const left = new Set(this.#condemned.packs);
    for (const batch of await this.#select()) {
      const fresh = batch.filter(({ key }) => !left.has(key)).map(({ key }) => key);
      await this.#condemn(fresh);
      await this.#empty(new Set(batch.map(({ key }) => key)));
    }
    await this.#dropNotes();
    if (this.#stale && !this.#options.dryRun) await this.#replaceIndex(new Set());
    return this.#report;
  }

  /** What is condemned already goes first: nobody relies on it any more. */
  async #select(): Promise<Candidate[][]> {
    const present = await presentPacks(this.#repository);
    const spared = await this.#newest();
    const live = liveBytes(this.#load.index, this.#marker.usage, this.#condemned.packs);
    const old: Candidate[] = [];
    const packs: Candidate[] = [];
    for (const [key, { size, modifiedAt }] of present) {
      const candidate = { key, size, live: live.get(key) ?? 0 };
      if (this.#condemned.packs.has(key)) old.push(candidate);
      else if (candidate.live > 0 || modifiedAt < spared) packs.push(candidate);
    }
    const batches = selectPacks(packs);
    return old.length > 0 ? [old, ...batches] : batches;
  }

  /**
   * Packs that nothing needs and that are younger than this (ms) may belong to a backup that is being made. To delete them
   * would not be wrong, as its writer looks before it confirms; it would only have to store them again.
   */
  async #newest(): Promise<number> {
    const writers = (await this.#repository.leases.holders('create')).map(({ createdAt }) => Date.parse(createdAt));
    return Math.min(...writers.map((at) => at - CLOCK_GRAIN_MS), Infinity);
  }

  /** The point after which these packs are lost to every writer. What backups need is looked up again afterwards. */
  async #condemn(packs: readonly string[]): Promise<void> {
    const { signal, assertHeld, dryRun } = this.#options;
    throwIfCancelled(signal);
    if (dryRun) return;
    await assertHeld?.();
    await condemn(this.#repository, packs);
    this.#condemned = await readReadable(this.#repository);
    const manifests = await needed(this.#repository, this.#options);
    await this.#repository.indexStore.refresh(this.#load, signal);
    await this.#mark(manifests);
  }

  async #mark(manifests: readonly { manifest: Manifest; confirmed: boolean }[]): Promise<void> {
    for (const { manifest, confirmed } of manifests) {
      const key = `${manifest.id} ${manifest.name}`;
      if (this.#marked.has(key)) continue;
      const found = { whole: true };
      await this.#marker.mark(
        manifest,
        (component, { path, reason, unread }) => {
          // One that was never acknowledged may lack something: its writer stores that again, or it goes.
          if (confirmed || unread) throw blocked(`"${manifest.name}" is damaged (${component} ${path}: ${reason})`);
          found.whole = false;
        },
        this.#options.signal,
      );
      // What lies below a lost node is unknown: it is looked for again the next time.
      if (found.whole) this.#marked.add(key);
    }
  }

  /** Copies what is needed out of these packs, then deletes them. */
  async #empty(batch: ReadonlySet<string>): Promise<void> {
    const { dryRun, signal, assertHeld } = this.#options;
    const copier = new BlobCopier(this.#repository, { dryRun });
    const copied = new Set<string>();
    const kept = new Set<string>();
    for (const pack of [...this.#load.index.packs()].filter((one) => batch.has(keyOf(one)))) {
      throwIfCancelled(signal);
      const blobs = this.#stranded(pack, batch).filter(({ id }) => !copied.has(id.toString('latin1')));
      if (blobs.length === 0) continue;
      const { usage } = this.#marker;
      const failed = await copier.copy(pack, blobs, (blob) => usage.of(blob.id, blobLength(blob)));
      if (failed.length > 0) kept.add(keyOf(pack));
      const lost = new Set(failed.map(({ id }) => id.toString('latin1')));
      for (const { id } of blobs) if (!lost.has(id.toString('latin1'))) copied.add(id.toString('latin1'));
    }
    const made = await copier.finish();
    const gone = new Set([...batch].filter((key) => !kept.has(key)));
    const sizes = await presentPacks(this.#repository);
    await this.#replaceIndex(gone, made);
    const remove = async (key: string): Promise<void> => {
      throwIfCancelled(signal);
      if (dryRun) return;
      await assertHeld?.();
      await this.#repository.storage.delete(key);
    };
    for await (const { item: key } of aheadOf([...gone], DELETED_AT_ONCE, remove)) {
      const size = sizes.get(key)?.size;
      if (size === undefined) continue;
      this.#report.packs++;
      this.#report.freedBytes += size;
    }
    const [damaged] = kept;
    if (damaged !== undefined) throw blocked(`${damaged}, of which backups need something, is damaged`);
  }

  /** Blobs of a pack that are needed and that lie in no pack which stays. */
  #stranded(pack: PackRef, batch: ReadonlySet<string>): BlobEntry[] {
    const { index } = this.#load;
    return index.blobsOf(pack.hash).filter((blob) => {
      const needed = this.#marker.usage.of(blob.id, blobLength(blob));
      if (needed === undefined || !holds(blob, needed)) return false;
      return !index.all(blob.id).some(({ pack: other, blob: copy }) => {
        const key = keyOf(other);
        return !batch.has(key) && !this.#condemned.packs.has(key) && holds(copy, needed);
      });
    });
  }

  /** The index without packs that are about to go, and with new ones; durable before the first pack goes. */
  async #replaceIndex(gone: ReadonlySet<string>, made: readonly IndexedPack[] = []): Promise<void> {
    const { dryRun, assertHeld } = this.#options;
    const load = this.#load;
    for (const pack of made) {
      load.index.addPack(pack);
      this.#report.rewrittenBytes += pack.size;
      this.#report.freedBytes -= pack.size;
    }
    const named = [...load.index.packs()].some((pack) => gone.has(keyOf(pack)));
    removePacks(load.index, gone);
    if (dryRun || !(named || made.length > 0 || this.#stale || load.unindexed.length > 0)) return;
    await assertHeld?.();
    const written = await this.#repository.indexStore.replace(load.index, load.files);
    for (const { key } of load.damaged) await this.#repository.storage.delete(key);
    load.files = written === undefined ? [] : [written];
    load.damaged = [];
    load.unindexed = [];
    this.#stale = false;
  }

  /** A note says that packs may vanish: it is needed as long as one of them is there. */
  async #dropNotes(): Promise<void> {
    if (this.#options.dryRun || this.#condemned.notes.length === 0) return;
    const present = await presentPacks(this.#repository);
    const cleared = [...this.#condemned.packs].filter((key) => !present.has(key));
    await rememberDamage(this.#repository, { damaged: [], cleared });
    const over = this.#condemned.notes.filter(({ packs }) => !packs.some((key) => present.has(key)));
    await this.#repository.notes.delete(over.map(({ key }) => key));
  }
}

/** Of packs that are deleted at once, the storage syncs their names together. */
const DELETED_AT_ONCE = 16;
/** Between a lease's time and that of a file written right after it. */
const CLOCK_GRAIN_MS = 2000;

function keyOf(pack: PackRef): string {
  return packObjectKey(pack.folder, pack.hash);
}

async function readReadable(repository: Repository): Promise<Condemned> {
  const condemned = await readCondemned(repository);
  const [first] = condemned.unreadable;
  if (first !== undefined) throw blocked(`${first} cannot be read`);
  return condemned;
}

/** Every backup that may need something, confirmed or not. */
async function needed(
  repository: Repository,
  { doomed, signal }: PruneOptions,
): Promise<{ manifest: Manifest; confirmed: boolean }[]> {
  const { manifests, unconfirmed, damaged } = await repository.manifests.listAll(signal);
  const [first] = damaged;
  if (first !== undefined) throw blocked(`the manifest of "${first.name}" cannot be read`);
  const all = [
    ...manifests.map((manifest) => ({ manifest, confirmed: true })),
    ...unconfirmed.map((manifest) => ({ manifest, confirmed: false })),
  ];
  return all.filter(({ manifest }) => !doomed.has(manifest.name));
}

function blocked(reason: string): BackupError {
  return new BackupError('REPOSITORY_DAMAGED', `No space is freed because ${reason}`, {
    hint: 'Run "check", repair or delete what is damaged, then run cleanup again. Nothing that is needed was deleted.',
  });
}

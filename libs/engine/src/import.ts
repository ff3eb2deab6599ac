import {
  BackupError,
  assertBackupName,
  newId,
  printable,
  throwIfCancelled,
  toBackupError,
} from '@foodsave-backup/kernel';
import { Archive, archiveInvalid, type ArchivedComponent, type EntryRecord } from '@foodsave-backup/archive';
import {
  BackupSession,
  type Lease,
  folderOfType,
  type Manifest,
  type ManifestComponent,
  type Repository,
} from '@foodsave-backup/repository';
import { decodeMeta } from './archive-meta.ts';
import { ArchiveStore } from './archive-store.ts';
import { codecOptions, openRepository, withLease } from './opened.ts';
import { settleFirst, sweepLeftovers } from './recover.ts';
import { withScratch } from './scratch.ts';
import { lostAgain, secure } from './create-secure.ts';
import { settleUnconfirmed } from './settle.ts';
import {
  CHECKSUMS_OFF,
  type Command,
  type EngineDeps,
  type ImportResult,
  type RunContext,
  type RunOutcome,
} from './types.ts';
import { backupView } from './views.ts';

type Import = Extract<Command, { command: 'import' }>;

/** A clock may differ by this much from that of the machine that made the backup, in ms. */
const SKEW_MS = 5 * 60_000;
/** The least room in which it makes sense to begin, in bytes. */
const ROOM_BYTES = 1024 * 1024;

interface ImportJob {
  deps: EngineDeps;
  context: RunContext;
  archive: Archive;
  name: string;
  result: ImportResult;
}

/** Makes a backup out of an archive that was exported, after the whole archive was checked. */
export async function importBackup(deps: EngineDeps, command: Import, context: RunContext): Promise<RunOutcome> {
  const archive = await Archive.open(command.file, { signal: context.signal });
  const name = command.name ?? archive.manifest.name;
  assertBackupName(name);
  const { manifest } = archive;
  const result: ImportResult = {
    name,
    dryRun: command.dryRun === true,
    archive: { name: manifest.name, createdAt: manifest.createdAt, components: Object.keys(manifest.components) },
    checkedFiles: 0,
    checkedBytes: 0,
    notes: [],
  };
  const job: ImportJob = { deps, context, archive, name, result };
  assertNotFuture(job);
  // Before a long check, whose result would be for nothing.
  const repository = result.dryRun ? undefined : await openRepository(deps);
  if (repository !== undefined) await assertFree(repository, name);
  await checkArchive(job);
  if (repository !== undefined) result.backup = backupView(await store(job, repository), []);
  if (manifest.selection.paths !== undefined) {
    result.notes.push('The archive holds only some paths of its components: the backup counts as partial.');
  }
  return { status: 'succeeded', result };
}

/** What is dated in the future would be the newest backup for ever, and retention could not judge it. */
function assertNotFuture({ archive, deps }: ImportJob): void {
  const { createdAt } = archive.manifest;
  if (Date.parse(createdAt) <= deps.clock.now() + SKEW_MS) return;
  throw new BackupError('CLOCK_SKEW', `The archive is dated ${createdAt}, later than this machine's clock`, {
    hint: 'Check the clock of this machine. Nothing was imported.',
  });
}

async function assertFree(repository: Repository, name: string): Promise<void> {
  try {
    await repository.manifests.assertFree(name);
  } catch (error) {
    const known = toBackupError(error);
    if (known.code !== 'NAME_TAKEN') throw known;
    throw new BackupError('NAME_TAKEN', known.message, {
      hint: 'Give the imported backup another name with --name.',
      cause: error,
    });
  }
}

/** A whole pass before anything is stored: a repository is not filled with what turns out to be nothing. */
async function checkArchive({ archive, context, result }: ImportJob): Promise<void> {
  const { components, sizeBytes: totalBytes, files: totalFiles } = archive.manifest;
  const counts = new Map(
    Object.keys(components).map((instance) => [instance, { files: 0, directories: 0, links: 0, sizeBytes: 0 }]),
  );
  for await (const { record, content } of archive.entries()) {
    assertRecord(record);
    for (const instance of Object.keys(record.in)) {
      const count = counts.get(instance);
      if (count === undefined) continue;
      if (record.kind === 'file') count.files++;
      else if (record.kind === 'directory') count.directories++;
      else if (record.kind === 'symlink') count.links++;
      count.sizeBytes += record.size ?? 0;
    }
    if (content === undefined) continue;
    for await (const piece of content) {
      throwIfCancelled(context.signal);
      result.checkedBytes += piece.length;
      const { checkedBytes: doneBytes, checkedFiles: doneFiles } = result;
      context.progress({ phase: 'verify', current: record.path, doneBytes, totalBytes, doneFiles, totalFiles });
    }
    result.checkedFiles++;
  }
  for (const [instance, count] of counts) assertCounts(instance, components[instance], count);
}

function assertCounts(
  instance: string,
  said: ArchivedComponent | undefined,
  counted: Pick<ArchivedComponent, 'files' | 'directories' | 'links' | 'sizeBytes'>,
): void {
  const same = (['files', 'directories', 'links', 'sizeBytes'] as const).every((key) => said?.[key] === counted[key]);
  if (!same) throw archiveInvalid(`its manifest.json does not say of ${instance} what its entries do`);
}

/** Everything that storing it will rely on. */
function assertRecord({ path, kind, size = 0, in: components }: EntryRecord): void {
  if (kind !== 'file' && kind !== 'directory' && kind !== 'symlink' && kind !== 'fifo') {
    throw archiveInvalid(`"${printable(path)}" is a ${kind}, which this software does not know`, {
      hint: 'Update this software.',
    });
  }
  for (const meta of Object.values(components)) {
    const { pageSize, changedWhileRead, link } = decodeMeta(path, meta);
    const onlyFiles = pageSize !== undefined || changedWhileRead !== undefined || link !== undefined;
    if ((onlyFiles && kind !== 'file') || (pageSize !== undefined && size % pageSize !== 0)) {
      throw archiveInvalid(`the metadata of "${printable(path)}" contradicts itself`);
    }
  }
}

interface StoreJob extends ImportJob {
  repository: Repository;
  lease: Lease;
}

async function store(job: ImportJob, repository: Repository): Promise<Manifest> {
  const { deps, context } = job;
  // It writes packs as a create does, and is kept apart from others as one.
  const request = { purpose: 'create', exclusive: false, conflicts: ['restore-live'] };
  await settleFirst(deps, context, repository);
  return withLease(repository, request, async (lease) => {
    await sweepLeftovers(deps, context);
    await settleUnconfirmed(repository, lease);
    await assertFree(repository, job.name);
    await assertRoom(job, repository);
    return withScratch(deps, (scratch) => storeAll({ ...job, repository, lease }, scratch));
  });
}

/** Without what the repository shares with it, it takes about the size of the archive. */
async function assertRoom({ deps, archive }: ImportJob, repository: Repository): Promise<void> {
  const free = await deps.freeBytes();
  const known = archive.manifest.repositoryId === repository.info.id;
  const needed = known ? ROOM_BYTES : Math.max(ROOM_BYTES, Math.min(archive.size, archive.manifest.sizeBytes));
  if (free === undefined || free >= needed) return;
  throw new BackupError(
    'NO_SPACE',
    `The archive needs about ${needed} bytes and ${free} are free at ${deps.storage.location}`,
    {
      hint: 'Free some space or run cleanup, then try again. Nothing was imported.',
    },
  );
}

async function storeAll(job: StoreJob, scratch: string): Promise<Manifest> {
  const { deps, context, archive, repository, result } = job;
  const session = await BackupSession.start(repository, codecOptions(deps), context.signal);
  for (const key of session.missing) {
    const message = `${key} is missing or damaged; what it held is stored again`;
    context.emit({ type: 'warning', code: 'PACK_MISSING', message });
    result.notes.push(`${message}. Older backups that need it are damaged: run "check".`);
  }
  const { manifests } = await repository.manifests.list(context.signal);
  const target = new ArchiveStore(scratch, (type, instance) => {
    const own = archive.manifest.components[instance]?.root;
    const previous = archive.manifest.repositoryId === repository.info.id ? own : undefined;
    const newest = manifests.find((manifest) => manifest.components[instance]?.root !== undefined);
    const root = previous ?? newest?.components[instance]?.root;
    return session.component(type, root === undefined ? undefined : Buffer.from(root, 'hex'));
  });
  let doneBytes = 0;
  let doneFiles = 0;
  const { sizeBytes: totalBytes, files: totalFiles } = archive.manifest;
  for await (const { record, content } of archive.entries()) {
    throwIfCancelled(context.signal);
    await target.add(record, content, (bytes) => {
      doneBytes += bytes;
      context.progress({ phase: 'import', current: record.path, doneBytes, totalBytes, doneFiles, totalFiles });
    });
    if (content !== undefined) doneFiles++;
  }
  const roots = await target.finish();
  await session.finishPacks();
  const verification = await verifyNew(job, session);
  throwIfCancelled(context.signal);
  await session.writeIndex();
  const manifest = assemble(job, repository, target, roots, verification);
  await job.lease.assertHeld();
  const published = { manifest, bytes: await repository.manifests.publish(manifest) };
  const lost = await secure(job, session, published);
  // The archive is read once; a second import finds the repository as it is then.
  if (lost.length > 0) throw lostAgain(lost);
  await repository.manifests.confirm(manifest.name, published.bytes);
  result.notes.push(`It is dated ${manifest.createdAt}, and retention judges it by that: "hold" keeps it for longer.`);
  return manifest;
}

type NewVerification = NonNullable<Manifest['verification']>;

async function verifyNew({ deps, context, result }: ImportJob, session: BackupSession): Promise<NewVerification> {
  const at = new Date(deps.clock.now()).toISOString();
  if (!deps.config.checksums) {
    await session.assertPresent();
    result.notes.push(`${CHECKSUMS_OFF} The backup is not verified.`);
    return { level: 'none', status: 'none', at, checkedBytes: 0 };
  }
  const totalBytes = session.blobs.writtenPacks.reduce((sum, pack) => sum + pack.size, 0);
  let doneBytes = 0;
  const checkedBytes = await session.readBack((bytes) => {
    doneBytes += bytes;
    context.progress({ phase: 'verify', doneBytes, totalBytes, doneFiles: 0 });
  }, context.signal);
  return { level: 'new', status: 'ok', at, checkedBytes };
}

function assemble(
  job: ImportJob,
  repository: Repository,
  target: ArchiveStore,
  roots: ReadonlyMap<string, Buffer>,
  verification: NewVerification,
): Manifest {
  const archived = job.archive.manifest;
  const components: Record<string, ManifestComponent> = {};
  for (const [instance, said] of Object.entries(archived.components)) {
    const { type, driver, status, capturedAt, facts, error } = said;
    const root = roots.get(instance);
    components[instance] = {
      ...{ type, driver, status, ...target.totals(instance), facts },
      ...(capturedAt === undefined ? {} : { capturedAt }),
      ...(root === undefined ? {} : { root: root.toString('hex') }),
      ...(error === undefined ? {} : { error }),
    };
  }
  const all = Object.values(components);
  const sum = (list: readonly ManifestComponent[], of: 'files' | 'sizeBytes' | 'storedBytes'): number =>
    list.reduce((total, c) => total + c[of], 0);
  const folders = [...new Set(all.map((c) => folderOfType(c.type)))].map((folder) => {
    const inside = all.filter((c) => folderOfType(c.type) === folder);
    const [files, sizeBytes, storedBytes] = [
      sum(inside, 'files'),
      sum(inside, 'sizeBytes'),
      sum(inside, 'storedBytes'),
    ];
    return { folder, files, sizeBytes, storedBytes };
  });
  const { createdAt, finishedAt, durationMs, tags, application, software, captureSkewMs, selection } = archived;
  return {
    repositoryId: repository.info.id,
    name: job.name,
    id: newId(job.deps.clock),
    ...{
      createdAt,
      finishedAt,
      durationMs,
      trigger: 'import',
      tags,
      application,
      software,
      captureSkewMs,
      verification,
    },
    ...{ files: sum(all, 'files'), sizeBytes: sum(all, 'sizeBytes'), storedBytes: sum(all, 'storedBytes'), folders },
    status: selection.paths === undefined ? archived.status : 'partial',
    components,
  };
}

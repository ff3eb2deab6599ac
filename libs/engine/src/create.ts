import {
  BackupError,
  assertBackupName,
  defaultBackupName,
  newId,
  throwIfCancelled,
  toBackupError,
} from '@foodsave-backup/kernel';
import { loadNative } from '@foodsave-backup/component';
import type { Manifest, ManifestComponent } from '@foodsave-backup/repository';
import { folderOfType } from '@foodsave-backup/repository';
import { BackupSession, mergeIndex, type Lease, type Repository } from '@foodsave-backup/repository';
import { captureComponents, CaptureProgress, type CapturedComponent } from './capture.ts';
import { codecOptions, openOrMake, selectComponents, withLease } from './opened.ts';
import { lostAgain, secure, type Published } from './create-secure.ts';
import { withEstimate } from './estimate.ts';
import { settleFirst, sweepLeftovers } from './recover.ts';
import { withScratch } from './scratch.ts';
import { settleUnconfirmed } from './settle.ts';
import {
  CHECKSUMS_OFF,
  type Command,
  type ComponentSpec,
  type CreateResult,
  type EngineDeps,
  type RunContext,
  type RunOutcome,
} from './types.ts';
import { backupView } from './views.ts';

type Create = Extract<Command, { command: 'create' }>;

/** A clock that went back by more than this is worth a warning, in ms. */
const SKEW_MS = 5 * 60_000;

/** `besideOwn`: the lease of the live restore whose safety backup this is. */
export async function create(
  deps: EngineDeps,
  command: Create,
  context: RunContext,
  besideOwn?: string,
): Promise<RunOutcome> {
  if (command.name !== undefined) assertBackupName(command.name);
  const specs = chooseSpecs(deps, command);
  const notes: string[] = [];
  const encryption = command.encryption ?? deps.config.encryption;
  const { repository, made, keyLocation } = await openOrMake(deps, encryption, () => {
    BackupSession.loadAhead(codecOptions(deps));
    void loadNative();
  });
  if (made) notes.push(...madeNotes(deps, repository, keyLocation));
  const request = {
    purpose: 'create',
    exclusive: false,
    conflicts: ['restore-live'],
    ...(besideOwn === undefined ? {} : { besideOwn }),
  };
  if (besideOwn === undefined) await settleFirst(deps, context, repository);
  return withLease(repository, request, async (lease) => {
    if (besideOwn === undefined) await sweepLeftovers(deps, context);
    await settleUnconfirmed(repository, lease);
    const name = await chooseName(deps, repository, command);
    const manifest = await withScratch(deps, (scratch) =>
      capture({ deps, command, context, repository, lease, scratch, name, specs, notes }),
    );
    if (!made) await repository.renewRecovery(await deps.recoveryFiles()).catch(() => undefined);
    const backup = backupView(manifest, []);
    const incomplete = Object.values(manifest.components).some((c) => c.facts['incomplete'] === true);
    const result: CreateResult = { backup, notes };
    return { status: manifest.status === 'partial' || incomplete ? 'partial' : 'succeeded', result };
  });
}

function chooseSpecs(deps: EngineDeps, command: Create): ComponentSpec[] {
  const { components } = deps.config;
  if (components.length === 0) {
    throw new BackupError('CONFIG_INVALID', 'No component is configured: there is nothing to back up', {
      hint: 'Add a database, files, config or vector_store under "components" in backup.yaml.',
    });
  }
  const selected = selectComponents(
    components.map((c) => c.instance),
    command.components,
  );
  return components.filter((spec) => selected.includes(spec.instance));
}

function madeNotes(deps: EngineDeps, repository: Repository, keyLocation: string | undefined): string[] {
  const notes = [`Made a new repository at ${deps.storage.location}.`];
  if (keyLocation !== undefined) {
    notes.push(
      `Its key is in ${keyLocation}. Keep a copy of that file somewhere else: without it no backup can be read.`,
    );
  } else if (!repository.info.encrypted) notes.push('It is not encrypted, as asked for.');
  return notes;
}

async function chooseName(deps: EngineDeps, repository: Repository, command: Create): Promise<string> {
  if (command.name !== undefined) {
    await repository.manifests.assertFree(command.name);
    return command.name;
  }
  const prefix = command.trigger === 'safety' ? 'safety' : undefined;
  const stamp = defaultBackupName(deps.clock.now());
  const base = prefix === undefined ? stamp : stamp.replace('full_backup', prefix);
  const taken = new Set((await repository.manifests.names()).map((name) => name.toLowerCase()));
  for (let n = 1; ; n++) {
    const name = n === 1 ? base : `${base}_${n}`;
    if (!taken.has(name)) return name;
  }
}

interface CaptureAll {
  deps: EngineDeps;
  command: Create;
  context: RunContext;
  repository: Repository;
  lease: Lease;
  scratch: string;
  name: string;
  specs: readonly ComponentSpec[];
  notes: string[];
}

/** Capture, packs, read-back, index, manifest, confirmation: each durable before the next. */
async function capture(job: CaptureAll): Promise<Manifest> {
  const { deps, context, repository, notes } = job;
  const startedAt = deps.clock.now();
  const started = deps.clock.monotonic();
  const { session, manifests } = await startSession(job);
  warnAboutClock(manifests[0], startedAt, context);
  for (const key of session.missing) {
    const message = `${key} is missing or damaged; what it held is stored again`;
    context.emit({ type: 'warning', code: 'PACK_MISSING', message });
    notes.push(`${message}. Older backups that need it are damaged: run "check".`);
  }
  const progress = new CaptureProgress(context);
  await assertRoom(deps);
  const before = (instance: string): ManifestComponent | undefined => newestOf(manifests, instance);
  const { specs, scratch } = job;
  const estimating = { deps, specs, scratch, encrypted: repository.keys.encrypted, before };
  const captured = await withEstimate(estimating, progress, () => captureAll(job, session, progress, manifests));
  assertSomethingCaptured(captured);
  for (let round = 1; ; round++) {
    await session.finishPacks();
    const verification = await verifyNew(job, session);
    throwIfCancelled(context.signal);
    await session.writeIndex();
    const now = deps.clock.now();
    const outcome = { startedAt, now, durationMs: Math.round(deps.clock.monotonic() - started), verification };
    await job.lease.assertHeld();
    const published = await publish(job, captured, outcome);
    const lost = await secure(job, session, published);
    if (lost.length === 0) {
      await repository.manifests.confirm(published.manifest.name, published.bytes);
      // The backup is there, whatever becomes of that: a later one does it then.
      await mergeIndex(repository, job.lease).catch(() => undefined);
      return published.manifest;
    }
    if (round === CAPTURES_MAX) throw lostAgain(lost);
    await captureAgain(job, { session, progress, captured, lost }, manifests);
  }
}

/** Times that components are captured when what they rely on is deleted under them. One is what a prune beside it can cause. */
const CAPTURES_MAX = 4;

/**
 * A session, and the backups that are of use to it: the newest one, and the newest that hold its components. Once more when one
 * of them was deleted while the index was read: it may have left nodes whose contents are gone.
 */
async function startSession(job: CaptureAll): Promise<{ session: BackupSession; manifests: Manifest[] }> {
  const { deps, context, repository } = job;
  for (;;) {
    const manifests = await predecessors(job);
    const session = await BackupSession.start(repository, codecOptions(deps), context.signal);
    const there = await Promise.all(manifests.map((manifest) => repository.manifests.holds(manifest)));
    if (!there.includes(false)) return { session, manifests };
  }
}

async function predecessors({ specs, context, repository }: CaptureAll): Promise<Manifest[]> {
  const found: Manifest[] = [];
  const wanted = new Set(specs.map(({ instance }) => instance));
  for await (const manifest of repository.manifests.newestFirst(context.signal)) {
    const held = [...wanted].filter((instance) => manifest.components[instance]?.root !== undefined);
    if (held.length > 0 || found.length === 0) found.push(manifest);
    for (const instance of held) wanted.delete(instance);
    if (wanted.size === 0) break;
  }
  return found;
}

/** Captures components anew, of which the previous backup is believed only what is still there. */
async function captureAgain(
  job: CaptureAll,
  made: { session: BackupSession; progress: CaptureProgress; captured: CapturedComponent[]; lost: readonly string[] },
  manifests: readonly Manifest[],
): Promise<void> {
  const specs = job.specs.filter(({ instance }) => made.lost.includes(instance));
  const again = await captureAll({ ...job, specs }, made.session, made.progress, manifests);
  for (const one of again) {
    const at = made.captured.findIndex(({ spec }) => spec.instance === one.spec.instance);
    made.captured.splice(at, 1, one);
  }
  assertSomethingCaptured(made.captured);
}

const NAMES_TRIED = 20;

/** A default name that another process took in the same second gives way to the next one; a name that was asked for does not. */
async function publish(job: CaptureAll, captured: readonly CapturedComponent[], outcome: Outcome): Promise<Published> {
  const { deps, repository, command } = job;
  for (let tried = 1, { name } = job; ; tried++) {
    const manifest = assemble({ ...job, name }, captured, outcome);
    try {
      return { manifest, bytes: await repository.manifests.publish(manifest) };
    } catch (error) {
      const taken = toBackupError(error).code === 'NAME_TAKEN';
      if (!taken || command.name !== undefined || tried === NAMES_TRIED) throw error;
      name = await chooseName(deps, repository, command);
    }
  }
}

/** A safety backup leaves out what does not exist: there is nothing to save. */
async function captureAll(
  job: CaptureAll,
  session: BackupSession,
  progress: CaptureProgress,
  manifests: readonly Manifest[],
): Promise<CapturedComponent[]> {
  const { deps, context } = job;
  const skipMissing = job.command.trigger === 'safety';
  const capturing = { deps, context, session, scratchDir: job.scratch, progress, skipMissing, verify: verifies(job) };
  const all = await captureComponents(capturing, job.specs, (instance) => newestOf(manifests, instance));
  const captured = all.filter(({ missing }) => !(skipMissing && missing));
  for (const { spec } of all.filter((one) => !captured.includes(one))) {
    job.notes.push(`${spec.instance} does not exist: there is nothing of it to save.`);
  }
  if (captured.length === 0) throw new BackupError('SOURCE_MISSING', 'There is nothing to save: no component exists');
  return captured;
}

function warnAboutClock(newest: Manifest | undefined, now: number, context: RunContext): void {
  if (newest === undefined || Date.parse(newest.createdAt) <= now + SKEW_MS) return;
  const message = `The newest backup is dated ${newest.createdAt}, later than this machine's clock. Check the clock.`;
  context.emit({ type: 'warning', code: 'CLOCK_SKEW', message });
}

/** The least room in which a backup makes sense: packs, index, manifest. Running out later fails cleanly too. */
const ROOM_BYTES = 1024 * 1024;

async function assertRoom(deps: EngineDeps): Promise<void> {
  const free = await deps.freeBytes();
  if (free !== undefined && free < ROOM_BYTES) {
    throw new BackupError('NO_SPACE', `Only ${free} bytes are free at ${deps.storage.location}`, {
      hint: 'Free some space or run cleanup, then try again.',
    });
  }
}

/** What the newest backup that holds this component says of it. Manifests come newest first. */
function newestOf(manifests: readonly Manifest[], instance: string): ManifestComponent | undefined {
  const all = manifests.map(({ components }) => components[instance]);
  return all.find((component) => component?.root !== undefined);
}

/** Nothing is recorded when nothing could be captured; the first failure is the run's. */
function assertSomethingCaptured(captured: readonly CapturedComponent[]): void {
  if (captured.some((c) => c.partial.status === 'complete')) return;
  const error = captured[0]?.partial.error;
  const message = error?.message ?? 'No component could be captured';
  throw new BackupError(
    error?.code === 'DATABASE_BACKUP_FAILED' ? 'DATABASE_BACKUP_FAILED' : 'COMPONENT_FAILED',
    message,
    {
      hint: error?.hint ?? 'See the errors of the components. No backup was recorded.',
      details: { components: Object.fromEntries(captured.map((c) => [c.spec.instance, c.partial.error])) },
    },
  );
}

type NewVerification = NonNullable<Manifest['verification']>;

function verifies({ command, deps }: CaptureAll): boolean {
  return command.verify ?? deps.config.verifyAfterCreate;
}

async function verifyNew(job: CaptureAll, session: BackupSession): Promise<NewVerification> {
  const { deps, context, notes } = job;
  const at = new Date(deps.clock.now()).toISOString();
  if (!verifies(job)) return { level: 'none', status: 'none', at, checkedBytes: 0 };
  if (!deps.config.checksums) {
    await session.assertPresent();
    notes.push(`${CHECKSUMS_OFF} The backup is not verified.`);
    return { level: 'none', status: 'none', at, checkedBytes: 0 };
  }
  const totalBytes = session.blobs.writtenPacks.reduce((sum, pack) => sum + pack.size, 0);
  let doneBytes = 0;
  const tell = (bytes: number): void => {
    doneBytes += bytes;
    context.progress({ phase: 'verify', doneBytes, totalBytes, doneFiles: 0 });
  };
  tell(0);
  return { level: 'new', status: 'ok', at, checkedBytes: await session.readBack(tell, context.signal) };
}

interface Outcome {
  startedAt: number;
  now: number;
  durationMs: number;
  verification: NewVerification;
}

function assemble(job: CaptureAll, captured: readonly CapturedComponent[], outcome: Outcome): Manifest {
  const { deps, command, repository, name } = job;
  const components: Record<string, ManifestComponent> = {};
  for (const { spec, partial, writer } of captured) {
    const totals = writer?.totals() ?? { files: 0, directories: 0, links: 0, sizeBytes: 0, storedBytes: 0 };
    components[spec.instance] = { ...partial, ...totals };
  }
  const all = Object.values(components);
  const sum = (of: (c: ManifestComponent) => number): number => all.reduce((total, c) => total + of(c), 0);
  const folders = [...new Set(all.map((c) => folderOfType(c.type)))].map((folder) => {
    const inside = all.filter((c) => folderOfType(c.type) === folder);
    const add = (of: (c: ManifestComponent) => number): number => inside.reduce((total, c) => total + of(c), 0);
    return {
      folder,
      files: add((c) => c.files),
      sizeBytes: add((c) => c.sizeBytes),
      storedBytes: add((c) => c.storedBytes),
    };
  });
  const instants = all.flatMap((c) => (c.capturedAt === undefined ? [] : [Date.parse(c.capturedAt)]));
  const whole = captured.every((c) => c.partial.status === 'complete' && !c.corrupt);
  return {
    repositoryId: repository.info.id,
    name,
    id: newId(deps.clock),
    createdAt: new Date(outcome.startedAt).toISOString(),
    finishedAt: new Date(outcome.now).toISOString(),
    files: sum((c) => c.files),
    sizeBytes: sum((c) => c.sizeBytes),
    storedBytes: sum((c) => c.storedBytes),
    folders,
    status: whole ? 'complete' : 'partial',
    durationMs: outcome.durationMs,
    trigger: command.trigger,
    tags: [...(command.tags ?? [])],
    application: deps.config.application,
    software: deps.config.software,
    captureSkewMs: instants.length < 2 ? 0 : Math.max(...instants) - Math.min(...instants),
    verification: outcome.verification,
    components,
  };
}

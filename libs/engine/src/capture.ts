import { BackupError, isoTime, serializeError, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { encodeName, SourceMoved, type ComponentFacts, type Dump, type DumpEntry } from '@foodsave-backup/component';
import {
  SMALL_FILE_BYTES,
  type BackupSession,
  type ComponentWriter,
  type ManifestComponent,
  type TreeMeta,
} from '@foodsave-backup/repository';
import { toTreeMeta } from './entry-meta.ts';
import { PathNames } from './names-path.ts';
import { openComponent } from './opened.ts';
import { ReadPace } from './paced.ts';
import { PreviousEntries } from './previous-entries.ts';
import type { ComponentSpec, EngineDeps, RunContext } from './types.ts';

/** Of one component. */
interface Done {
  bytes: number;
  files: number;
}

/** Cumulative figures over all components of a backup. */
export class CaptureProgress {
  readonly #context: RunContext;
  doneBytes = 0;
  doneFiles = 0;
  /** Absent while nobody knows. */
  totals: { bytes: number; files: number } | undefined;
  /** Called whenever something was done. */
  told: (() => void) | undefined;
  #component = '';
  #current = '';

  constructor(context: RunContext) {
    this.#context = context;
  }

  enter(component: string): void {
    this.#component = component;
    this.#current = '';
    this.#tell();
  }

  /** What was done of a component that has to be read once more. */
  takeBack(done: Done): void {
    this.doneBytes -= done.bytes;
    this.doneFiles -= done.files;
    this.#tell();
  }

  file(component: string, path: string): void {
    this.#component = component;
    this.#current = path;
    this.doneFiles++;
    this.#tell();
  }

  add(bytes: number): void {
    this.doneBytes += bytes;
    this.#tell();
  }

  #tell(): void {
    this.told?.();
    this.#context.progress({
      phase: 'capture',
      component: this.#component,
      ...(this.#current === '' ? {} : { current: this.#current }),
      doneBytes: this.doneBytes,
      doneFiles: this.doneFiles,
      // Estimates of live sources can be exceeded; a percentage over 100 helps nobody.
      ...(this.totals && {
        totalBytes: Math.max(this.totals.bytes, this.doneBytes),
        totalFiles: Math.max(this.totals.files, this.doneFiles),
      }),
    });
  }
}

export interface CapturedComponent {
  spec: ComponentSpec;
  writer?: ComponentWriter;
  /** Without totals: those are final when the packs are finished. */
  partial: Omit<ManifestComponent, 'files' | 'directories' | 'links' | 'sizeBytes' | 'storedBytes'>;
  /** Some of the source could not be read. */
  incomplete: boolean;
  corrupt: boolean;
  /** The source does not exist. */
  missing: boolean;
}

export interface CaptureJob {
  deps: EngineDeps;
  context: RunContext;
  session: BackupSession;
  scratchDir: string;
  progress: CaptureProgress;
  /** A safety backup saves what is left of a source. */
  skipMissing: boolean;
  /** See `DumpRun`. */
  verify: boolean;
}

/** A source that stands still for the capture, or why it does not. */
interface OpenedSource {
  spec: ComponentSpec;
  /** See `DumpRun`. */
  attempt: number;
  writer: ComponentWriter;
  previous: PreviousEntries;
  dump?: Dump;
  error?: unknown;
}

/** Sources that are captured at once: while one waits for a process of its own, another is stored. */
const LANES = 2;

/**
 * Captures components, each compared with what `before` says of it in the newest backup. A failure of a source is part of the
 * result; of the repository, it is thrown, when no other source is being captured any more. Results come in the order of `specs`,
 * whichever source is ready first.
 */
export async function captureComponents(
  job: CaptureJob,
  specs: readonly ComponentSpec[],
  before: (instance: string) => ManifestComponent | undefined,
): Promise<CapturedComponent[]> {
  const waiting = [...specs];
  const captured = new Map<ComponentSpec, CapturedComponent>();
  const stop = new AbortController();
  const context = { ...job.context, signal: AbortSignal.any([job.context.signal, stop.signal]) };
  const pace = ReadPace.of(job.deps, context);
  const lane = async (): Promise<void> => {
    try {
      for (let spec = waiting.shift(); spec !== undefined; spec = waiting.shift()) {
        throwIfCancelled(context.signal);
        captured.set(spec, await captureOne({ ...job, context }, spec, { before: before(spec.instance), pace }));
      }
    } catch (error) {
      // The other one need not go on, and fails with this error.
      stop.abort(error);
      throw error;
    }
  };
  await Promise.allSettled(Array.from({ length: LANES }, lane));
  throwIfCancelled(job.context.signal);
  if (stop.signal.aborted) throw stop.signal.reason;
  return specs.flatMap((spec) => captured.get(spec) ?? []);
}

async function captureOne(
  job: CaptureJob,
  spec: ComponentSpec,
  { before, pace }: { before: ManifestComponent | undefined; pace: ReadPace | undefined },
): Promise<CapturedComponent> {
  for (let attempt = 1; ; attempt++) {
    const stored = await storeSource(job, await openSource(job, spec, before, attempt), pace);
    if (stored !== 'again') return stored;
  }
}

/** Never rejects. */
async function openSource(
  job: CaptureJob,
  spec: ComponentSpec,
  before: ManifestComponent | undefined,
  attempt: number,
): Promise<OpenedSource> {
  const { deps, context, session } = job;
  const root = before?.root === undefined ? undefined : Buffer.from(before.root, 'hex');
  const writer = session.component(spec.type, root, true);
  const previous = new PreviousEntries(writer);
  try {
    const component = openComponent(deps, spec, job.scratchDir, session.repository.keys.encrypted, job.skipMissing);
    const dump = await component.openDump({
      signal: context.signal,
      attempt,
      verify: job.verify,
      warn: (warning) => {
        context.emit({ type: 'warning', component: spec.instance, ...warning });
      },
      previous: (path) => previous.find(path),
      ...(before?.capturedAt === undefined
        ? {}
        : { previousFacts: { ...before.facts, capturedAt: before.capturedAt } }),
    });
    return { spec, attempt, writer, previous, dump };
  } catch (error) {
    return { spec, attempt, writer, previous, error };
  }
}

/** `again`: the source moved while it was read where it lies, and is to be opened once more. */
async function storeSource(
  job: CaptureJob,
  opened: OpenedSource,
  pace: ReadPace | undefined,
): Promise<CapturedComponent | 'again'> {
  const { spec, attempt, writer, previous, dump, error } = opened;
  const { context } = job;
  if (attempt === 1) context.emit({ type: 'component.started', component: spec.instance });
  job.progress.enter(spec.instance);
  const done: Done = { bytes: 0, files: 0 };
  const base = { type: spec.type, driver: spec.driver };
  try {
    if (dump === undefined) throw error;
    const facts = await storeDump(job, spec.instance, dump, { writer, previous, names: new PathNames(), pace, done });
    const root = await writer.finish();
    context.emit({ type: 'component.finished', component: spec.instance, status: 'complete' });
    return {
      spec,
      writer,
      partial: { ...base, status: 'complete', capturedAt: facts.capturedAt, root: root.toString('hex'), facts },
      incomplete: facts.incomplete === true,
      corrupt: facts.corrupt === true,
      missing: false,
    };
  } catch (cause) {
    throwIfCancelled(context.signal);
    const known = toBackupError(cause, 'COMPONENT_FAILED');
    if (isRepositoryFault(known)) throw known;
    // What waits in the writer is stored or dropped with the session; nothing refers to it.
    await writer.finish().catch(() => undefined);
    if (cause instanceof SourceMoved && attempt === 1) {
      job.progress.takeBack(done);
      return 'again';
    }
    const missing = known.code === 'SOURCE_MISSING' || known.details?.['reason'] === 'SOURCE_MISSING';
    const failure = serializeError(known);
    context.emit({ type: 'component.finished', component: spec.instance, status: 'failed', error: failure });
    const { code, message, hint } = failure;
    const partialError = { code, message, ...(hint === undefined ? {} : { hint }) };
    return {
      spec,
      partial: { ...base, status: 'failed', facts: {}, error: partialError },
      incomplete: false,
      corrupt: false,
      missing,
    };
  }
}

/** Failures of the place where backups go end the whole run; failures of one source do not. */
function isRepositoryFault(error: BackupError): boolean {
  return error.code === 'NO_SPACE' || error.code === 'REPOSITORY_NOT_WRITABLE' || error.code === 'INTERNAL';
}

/** Where entries go, and how fast they are read. */
interface StoredTo {
  writer: ComponentWriter;
  previous: PreviousEntries;
  names: PathNames;
  pace: ReadPace | undefined;
  /** What was stored so far. */
  done: Done;
}

async function storeDump(
  { context, progress, deps }: CaptureJob,
  instance: string,
  dump: Dump,
  to: StoredTo,
): Promise<ComponentFacts> {
  let changed = 0;
  try {
    for await (const entry of dump.entries()) {
      throwIfCancelled(context.signal);
      progress.file(instance, entry.path);
      to.done.files++;
      if (!(await addEntry(entry, to, progress))) continue;
      changed++;
      const message = 'It changed while it was read';
      context.emit({ type: 'warning', component: instance, code: 'CHANGED_WHILE_READ', message, path: entry.path });
    }
    const facts = await dump.facts();
    return {
      ...facts,
      capturedAt: facts.capturedAt || isoTime(deps.clock),
      ...(changed > 0 ? { changedWhileRead: changed } : {}),
    };
  } finally {
    await dump.close();
  }
}

/** True when the file changed while it was read. */
async function addEntry(entry: DumpEntry, to: StoredTo, progress: CaptureProgress): Promise<boolean> {
  const { writer } = to;
  const names = to.names.of(entry.path);
  const meta = toTreeMeta(entry.meta);
  if (entry.kind === 'directory') {
    writer.addDirectory(names, meta);
    return false;
  }
  if (entry.kind === 'symlink') {
    writer.addLink(names, meta, encodeName(entry.linkTarget ?? ''));
    return false;
  }
  if (entry.kind === 'fifo') {
    writer.addFifo(names, meta);
    return false;
  }
  return addFile(entry, names, meta, to, (bytes) => {
    progress.add(bytes);
    to.done.bytes += bytes;
  });
}

async function addFile(
  entry: DumpEntry,
  names: Buffer[],
  meta: TreeMeta,
  { writer, previous, pace }: StoredTo,
  progress: (bytes: number) => void,
): Promise<boolean> {
  const { link, content } = entry;
  const name = link && { link: Buffer.from(link.id), names: link.names };
  if (entry.unchanged === true) {
    const before = await previous.take(entry.path);
    if (before?.entry.type !== 'file')
      throw new BackupError('INTERNAL', `${entry.path} was called unchanged and has no previous version`);
    writer.addUnchanged(names, meta, before, name);
    progress(before.entry.size);
    return false;
  }
  if (name && link.again) {
    const stored = writer.addAgain(names, name);
    if (stored !== undefined) {
      progress(stored.size);
      return stored.changedWhileRead === true;
    }
  }
  if (content === undefined) throw new BackupError('INTERNAL', `${entry.path} has no content`);
  if (content.kind === 'paged') {
    await writer.addPaged(names, meta, pace === undefined ? content : pace.pages(content), progress);
    return false;
  }
  const { whole } = content;
  if (whole !== undefined && whole.bytes.length <= SMALL_FILE_BYTES && pace === undefined) {
    progress(whole.bytes.length);
    await writer.addWhole(names, { ...meta, ...(whole.changed ? { changedWhileRead: true } : {}) }, whole.bytes, name);
    return whole.changed;
  }
  const finish = async (): Promise<{ meta: TreeMeta; changed: boolean }> => {
    const end = await content.finish?.();
    return { meta: end?.meta === undefined ? meta : toTreeMeta(end.meta), changed: end?.changed ?? false };
  };
  try {
    const pieces = pace === undefined ? content.open({ holes: true }) : pace.pieces(content);
    // Of a large file the chunks that it had are looked for first.
    const before = entry.size > SMALL_FILE_BYTES ? await previous.take(entry.path) : undefined;
    const how = { byBlocks: content.sparse === true, ...(name ? { name } : {}), ...(before ? { before } : {}) };
    return (await writer.addStream(names, pieces, finish, progress, how)).changed;
  } catch (error) {
    // What was stored of it is referred to by nothing.
    if (content.failed?.(error) === true) return false;
    throw error;
  }
}

import { createWriteStream } from 'node:fs';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  BackupError,
  isoTime,
  newId,
  printable,
  systemErrorCode,
  throwIfCancelled,
  toBackupError,
} from '@foodsave-backup/kernel';
import {
  checkedContent,
  drain,
  writeArchive,
  type ArchivedComponent,
  type ArchiveSource,
  type JsonObject,
  type SourceEntry,
} from '@foodsave-backup/archive';
import { isAtOrBelow } from '@foodsave-backup/component';
import type { Manifest } from '@foodsave-backup/repository';
import { mergedEntries } from './archive-entries.ts';
import { openRepository, selectComponents, withLease } from './opened.ts';
import type { Source } from './restore-entries.ts';
import type { Command, EngineDeps, ExportResult, RunContext, RunOutcome } from './types.ts';

type Export = Extract<Command, { command: 'export' }>;

const NOT_ENCRYPTED = 'The archive is not encrypted, although the repository is: keep it where only you can read it.';
const PATHS_MAX = 100;
const NAMED_MAX = 100;

/** Files are read once, in the order in which they were stored, and the archiver takes memory too. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** Writes an archive of a backup, or one file of it. Damage fails it; nothing half-written gets the final name. */
export async function exportBackup(deps: EngineDeps, command: Export, context: RunContext): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  return withLease(repository, { purpose: 'export', exclusive: false, readOnly: true }, async () => {
    const manifest = await repository.manifests.get(command.name);
    const source = repository.reader(await repository.loadIndex(context.signal), { cacheBytes: CACHE_BYTES });
    const job = await prepare({ deps, command, context, manifest, source });
    const written = await intoOutput(job, (out) => (command.format === 'file' ? writeFile(job, out) : write(job, out)));
    const { files, sizeBytes } = job;
    const notes = job.notes;
    if (repository.info.encrypted) notes.unshift(NOT_ENCRYPTED);
    const { output, format } = command;
    const where = 'file' in output ? { file: output.file } : {};
    const result: ExportResult = {
      name: manifest.name,
      format,
      ...where,
      files,
      sizeBytes,
      archiveBytes: written,
      notes,
    };
    return { status: 'succeeded', result };
  });
}

interface Asked {
  deps: EngineDeps;
  command: Export;
  context: RunContext;
  manifest: Manifest;
  source: Source;
}

interface ExportJob extends Asked {
  instances: readonly string[];
  components: Record<string, ArchivedComponent>;
  files: number;
  sizeBytes: number;
  notes: string[];
}

/** Looks at all that is asked for once: what there is of each component, and whether every path exists. */
async function prepare(asked: Asked): Promise<ExportJob> {
  const { command, manifest, source, context } = asked;
  const { paths } = command;
  const selected = selectComponents(Object.keys(manifest.components), command.components);
  const { instances, failed } = usable(manifest, selected, command.components !== undefined);
  const counted = new Map<string, ArchivedComponent>();
  const missing = new Set(paths ?? []);
  for await (const { record } of mergedEntries(source, manifest, instances, paths)) {
    throwIfCancelled(context.signal);
    for (const path of missing) if (path === record.path || isAtOrBelow(record.path, path)) missing.delete(path);
    for (const instance of Object.keys(record.in)) {
      let component = counted.get(instance);
      if (component === undefined)
        counted.set(instance, (component = emptyComponent(manifest, instance, paths !== undefined)));
      countIn(component, record);
    }
  }
  assertFound(manifest, missing);
  const components: Record<string, ArchivedComponent> = {};
  for (const instance of selected) {
    if (failed.includes(instance)) components[instance] = emptyComponent(manifest, instance, false);
    else if (paths === undefined || counted.has(instance)) {
      components[instance] = counted.get(instance) ?? emptyComponent(manifest, instance, false);
    }
  }
  const all = Object.values(components);
  return {
    ...asked,
    instances: instances.filter((instance) => components[instance] !== undefined),
    components,
    files: all.reduce((sum, c) => sum + c.files, 0),
    sizeBytes: all.reduce((sum, c) => sum + c.sizeBytes, 0),
    notes: failed.map((instance) => `${instance} is not in it: it could not be captured then.`),
  };
}

function usable(
  manifest: Manifest,
  selected: readonly string[],
  asked: boolean,
): { instances: string[]; failed: string[] } {
  const failed = selected.filter((instance) => manifest.components[instance]?.status !== 'complete');
  const instances = selected.filter((instance) => !failed.includes(instance));
  if (instances.length > 0 && (failed.length === 0 || !asked)) return { instances, failed };
  throw new BackupError(
    'COMPONENT_FAILED',
    `"${manifest.name}" does not hold ${failed.join(', ')}: it could not be captured then`,
    {
      hint: 'Choose another backup, or leave this component out.',
    },
  );
}

function assertFound(manifest: Manifest, missing: ReadonlySet<string>): void {
  const [path] = missing;
  if (path === undefined) return;
  throw new BackupError('PATH_NOT_FOUND', `"${printable(path)}" is not in "${manifest.name}"`, {
    hint: 'Run "ls" to see the paths of the backup. They are relative to the directory of the configuration file.',
  });
}

/** `part`: of a component of which only some paths are exported, the facts would not be true. */
function emptyComponent(manifest: Manifest, instance: string, part: boolean): ArchivedComponent {
  const component = manifest.components[instance];
  if (component === undefined) throw new BackupError('INTERNAL', `The manifest has no ${instance}`);
  const { type, driver, status, capturedAt, root, facts, error } = component;
  return {
    ...{ type, driver, status, files: 0, directories: 0, links: 0, sizeBytes: 0, paths: [] },
    facts: (part ? { incomplete: true } : facts) as JsonObject,
    ...(capturedAt === undefined ? {} : { capturedAt }),
    ...(root === undefined || part ? {} : { root }),
    ...(error === undefined ? {} : { error }),
  };
}

function countIn(component: ArchivedComponent, { path, kind, size = 0 }: SourceEntry['record']): void {
  if (kind === 'file') component.files++;
  else if (kind === 'directory') component.directories++;
  else if (kind === 'symlink') component.links++;
  component.sizeBytes += size;
  const last = component.paths.at(-1);
  const isTop = last === undefined || !isAtOrBelow(path, last);
  if (isTop && component.paths.length < PATHS_MAX) component.paths.push(path);
}

function archiveSource(job: ExportJob): ArchiveSource {
  const { deps, command, manifest, source } = job;
  const { name, id, repositoryId, createdAt, finishedAt, durationMs, status, trigger, tags } = manifest;
  const { application, software, captureSkewMs } = manifest;
  const { components, paths } = command;
  return {
    manifest: {
      ...{ name, id, repositoryId, createdAt, finishedAt, durationMs, status, trigger, tags },
      ...{ application, software, captureSkewMs },
      exportedAt: isoTime(deps.clock),
      exportedBy: deps.config.software,
      selection: {
        ...(components === undefined ? {} : { components: [...components] }),
        ...(paths === undefined ? {} : { paths: [...paths] }),
      },
      components: job.components,
    },
    entries: () => mergedEntries(source, manifest, job.instances, paths),
  };
}

async function write(job: ExportJob, out: Writable): Promise<void> {
  const { command, context } = job;
  const format = command.format === 'zip' ? 'zip' : 'tar.gz';
  try {
    await writeArchive(format, archiveSource(job), out, { signal: context.signal, progress: progressOf(job) });
  } catch (error) {
    const known = toBackupError(error);
    throw known.code === 'DATA_DAMAGED' ? await allDamage(job, known) : known;
  }
}

/** The bytes of one file, as they are. */
async function writeFile(job: ExportJob, out: Writable): Promise<void> {
  const { source, manifest, instances, command, context } = job;
  const tell = progressOf(job);
  for await (const { record, content } of mergedEntries(source, manifest, instances, command.paths)) {
    if (record.path !== command.paths?.[0] || content === undefined) continue;
    await pipeline(
      checkedContent(record, content(), (bytes) => {
        tell(record.path, bytes, 0);
      }),
      out,
      { signal: context.signal },
    );
    return;
  }
  out.destroy();
  throw new BackupError('PATH_NOT_FOUND', 'The path names no file of the backup', {
    hint: 'Directories can be had as ZIP or TAR.GZ.',
  });
}

function progressOf(job: ExportJob): (path: string, bytes: number, files: number) => void {
  let doneBytes = 0;
  let doneFiles = 0;
  return (current, bytes, files) => {
    doneBytes += bytes;
    doneFiles += files;
    const { sizeBytes: totalBytes, files: totalFiles } = job;
    job.context.progress({ phase: 'export', current, doneBytes, totalBytes, doneFiles, totalFiles });
  };
}

/** One damaged file is seldom alone: what else is damaged is found out too, so that it can be left out in one go. */
async function allDamage(job: ExportJob, first: BackupError): Promise<BackupError> {
  const { source, manifest, instances, command, context } = job;
  const named: string[] = [];
  let damaged = 0;
  try {
    for await (const { record, content } of mergedEntries(source, manifest, instances, command.paths)) {
      throwIfCancelled(context.signal);
      try {
        if (content !== undefined) await drain(checkedContent(record, content(), () => undefined));
      } catch (error) {
        if (toBackupError(error).code !== 'DATA_DAMAGED') throw error;
        damaged++;
        if (named.length < NAMED_MAX) named.push(record.path);
      }
    }
  } catch (error) {
    const known = toBackupError(error);
    if (known.code !== 'DATA_DAMAGED') throw known;
  }
  if (named.length === 0) return first;
  const what = damaged === 1 ? 'one file is damaged' : `${damaged} files are damaged`;
  const some = `${named.slice(0, 5).map(printable).join(', ')}${damaged > 5 ? ', …' : ''}`;
  return new BackupError('DATA_DAMAGED', `"${manifest.name}" was not exported: ${what} (${some})`, {
    hint: 'Nothing was left of the archive. "restore --target" brings back everything that is good; or export what is good with --components and --path.',
    cause: first,
    details: { damaged: named },
  });
}

/** Runs `work` on the output and gives the bytes that were written. */
async function intoOutput(job: ExportJob, work: (out: Writable) => Promise<void>): Promise<number> {
  const { output } = job.command;
  if ('file' in output) return intoFile(job, output.file, work);
  // Node's own stream knows whether it is a file, a pipe or a socket.
  const out = output.descriptor === 1 ? process.stdout : createWriteStream('', { fd: output.descriptor });
  let bytes = 0;
  const through = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const piped = pipeline(through, out);
  piped.catch(() => undefined);
  await work(through);
  await piped;
  return bytes;
}

async function intoFile(job: ExportJob, file: string, work: (out: Writable) => Promise<void>): Promise<number> {
  const { directory, clock } = job.deps;
  if (directory !== undefined && isAtOrBelow(file, directory)) {
    throw targetInvalid(file, 'it lies in the repository');
  }
  if (await exists(file)) throw targetInvalid(file, 'there is something already');
  const temporary = join(dirname(file), `.${basename(file)}.${newId(clock)}.partial`);
  try {
    await mkdir(dirname(file), { recursive: true });
    await (await open(temporary, 'wx', 0o600)).close();
  } catch (error) {
    throw targetInvalid(file, `it cannot be made (${systemErrorCode(error) ?? 'unknown reason'})`, error);
  }
  try {
    // `flush`: durable before it is closed.
    const out = createWriteStream(temporary, { flags: 'r+', flush: true });
    await work(out);
    await publish(temporary, file);
    return out.bytesWritten;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Never replaces what appeared meanwhile, where the file system can link. */
async function publish(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
    await rm(temporary);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') throw targetInvalid(file, 'there is something already', error);
    if (code !== 'EPERM' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS' && code !== 'EMLINK') throw error;
    await rename(temporary, file);
  }
  const parent = await open(dirname(file), 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

function targetInvalid(file: string, why: string, cause?: unknown): BackupError {
  return new BackupError('TARGET_INVALID', `"${printable(file)}" cannot be written: ${why}`, {
    hint: 'Name a new file with --output. Nothing was written.',
    ...(cause === undefined ? {} : { cause }),
  });
}

import { Blobs } from './blobs.ts';
import type { Io, Options } from './io.ts';
import { Damage, EXIT, RecoverError } from './errors.ts';
import { text as jsonText } from './json-file.ts';
import { findBackup, listBackups, readDetails, totals, type Backup, type Details } from './manifests.ts';
import { Target } from './place.ts';
import { openRepository, type Repository } from './repository.ts';
import { Restorer } from './restore.ts';
import type { Keys } from './sealed.ts';
import { unlock } from './secret.ts';
import { count, printable, size, table } from './text.ts';
import { Verifier, type DamagedPath, type Tally } from './verify.ts';

const PROGRESS_STEP = 64 * 1024 * 1024;
const SHOWN = 1000;

export async function list(options: Options, io: Io): Promise<number> {
  const repository = openRepository(options.directory);
  const keys = await unlock(repository, { ...options, env: io.env, ask: undefined }, true);
  const backups = listBackups(repository, keys).map((backup) => summary(backup, keys));
  const broken = backups.filter((backup) => backup.problems.length > 0).length + repository.damage.length;
  const code = broken > 0 ? EXIT.failed : EXIT.ok;
  if (options.json) {
    const { encrypted, damage } = repository;
    const about = { directory: repository.directory, id: repository.id.toString('hex'), encrypted, damage };
    io.out(`${JSON.stringify({ repository: about, checked: keys !== undefined, backups }, null, 2)}\n`);
    return code;
  }
  io.out(`Repository ${printable(repository.directory)} (${repository.encrypted ? 'encrypted' : 'not encrypted'})\n`);
  if (backups.length === 0) io.out('It holds no backup.\n');
  else io.out(table([['NAME', 'CREATED', 'FILES', 'SIZE', 'STATUS'], ...backups.map(row)]));
  if (!keys) io.out('No key was given: the list was not authenticated. Give the key to be sure of it.\n');
  for (const message of repository.damage) io.err(`Damage: ${printable(message)}.\n`);
  for (const backup of backups) {
    for (const message of backup.problems) io.err(`Damage: ${printable(message)}.\n`);
  }
  return code;
}

interface Summary {
  readonly name: string;
  readonly createdAt: string | null;
  readonly files: number | null;
  readonly sizeBytes: number | null;
  readonly status: string;
  readonly confirmed: boolean;
  readonly problems: readonly string[];
}

function row(backup: Summary): string[] {
  const { name, createdAt, files, sizeBytes, status, confirmed, problems } = backup;
  const words = [
    status,
    confirmed ? '' : 'unconfirmed',
    problems.length > 0 && status !== 'damaged' ? 'one copy damaged' : '',
  ];
  const shownSize = sizeBytes === null ? '?' : size(sizeBytes);
  return [
    name,
    printable(createdAt ?? '?'),
    String(files ?? '?'),
    shownSize,
    words.filter((word) => word !== '').join(', '),
  ];
}

function summary(backup: Backup, keys: Keys | undefined): Summary {
  const { name, confirmed, manifest } = backup;
  const problems = [...backup.damage];
  let status = manifest ? 'listed' : 'damaged';
  if (manifest && keys) {
    try {
      status = readDetails(backup, keys).status;
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      problems.push(error.message);
      status = 'damaged';
    }
  }
  const { files, sizeBytes } = manifest ? totals(manifest) : {};
  const createdAt = manifest ? jsonText(manifest, 'createdAt', name) : null;
  return { name, createdAt, files: files ?? null, sizeBytes: sizeBytes ?? null, status, confirmed, problems };
}

interface Opened {
  readonly repository: Repository;
  readonly backup: Backup;
  readonly details: Details;
  readonly blobs: Blobs;
}

async function open(options: Options, io: Io, name: string): Promise<Opened> {
  const repository = openRepository(options.directory);
  const keys = await unlock(repository, { ...options, env: io.env, ask: io.ask }, false);
  if (!keys) throw new RecoverError(EXIT.wrongKey, 'No key was given', 'Give the key with --key-file FILE.');
  const backup = findBackup(repository, keys, name);
  let details: Details;
  try {
    details = readDetails(backup, keys);
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    throw new RecoverError(
      EXIT.failed,
      `The backup ${backup.name} cannot be opened: ${printable(error.message)}`,
      'Use another backup ("list" shows all), or another copy of this repository.',
    );
  }
  const blobs = new Blobs(options.directory, keys, (note) => io.err(`Note: ${printable(note)}\n`));
  return { repository, backup, details, blobs };
}

export async function verify(options: Options, io: Io, name: string): Promise<number> {
  const opened = await open(options, io, name);
  const { blobs, backup, details, repository } = opened;
  const verifier = new Verifier(blobs, progress(io, 'Verified', backup));
  eachComponent(details, verifier);
  blobs.close();
  io.progress?.('');
  const other = new Set([...repository.damage, ...backup.damage, ...blobs.damage, ...verifier.otherDamage]);
  const { damaged, tally } = verifier;
  const ok = damaged.length === 0 && other.size === 0;
  const warnings = notices(opened);
  if (options.json) {
    const status = ok ? 'ok' : 'damaged';
    const body = {
      name: backup.name,
      status,
      checkedBytes: tally.bytes,
      files: tally.files,
      damaged,
      otherDamage: [...other],
      warnings,
    };
    io.out(`${JSON.stringify(body, null, 2)}\n`);
    return ok ? EXIT.ok : EXIT.failed;
  }
  for (const warning of warnings) io.err(`Warning: ${printable(warning)}.\n`);
  printDamage(io, damaged, other);
  if (ok) io.out(`OK: ${backup.name}: every byte of ${contents(tally)} was read and is what was backed up.\n`);
  else if (damaged.length > 0) {
    io.out(
      `DAMAGED: ${backup.name}: ${count(damaged.length, 'path', 'paths')} cannot be restored whole. "restore" saves the rest.\n`,
    );
  } else {
    io.out(
      `DAMAGED: the repository is damaged, but all of ${backup.name} (${contents(tally)}) can still be restored. Restore it or copy it soon.\n`,
    );
  }
  return ok ? EXIT.ok : EXIT.failed;
}

export async function restore(options: Options, io: Io, name: string, directory: string): Promise<number> {
  const opened = await open(options, io, name);
  const { blobs, backup, details, repository } = opened;
  const target = new Target(directory, repository.directory, options.keepSetuid);
  const restorer = new Restorer(blobs, target, progress(io, 'Restored', backup));
  eachComponent(details, restorer);
  blobs.close();
  io.progress?.('');
  const { damaged, tally } = restorer;
  const other = [...repository.damage, ...backup.damage, ...blobs.damage];
  const unset = [...target.unset].map(
    ([what, times]) => `the ${what} was not set on ${count(times, 'entry', 'entries')}`,
  );
  if (tally.pipes > 0)
    unset.push(`${count(tally.pipes, 'named pipe was', 'named pipes were')} left out: Node.js cannot make one`);
  const warnings = [...notices(opened), ...unset];
  const ok = damaged.length === 0;
  if (options.json) {
    const body = {
      name: backup.name,
      directory,
      status: ok ? 'ok' : 'damaged',
      ...tally,
      damaged,
      otherDamage: other,
      warnings,
    };
    io.out(`${JSON.stringify(body, null, 2)}\n`);
    return ok ? EXIT.ok : EXIT.failed;
  }
  for (const warning of warnings) io.err(`Warning: ${printable(warning)}.\n`);
  printDamage(io, damaged, new Set(other));
  io.out(
    `Restored ${contents(tally)} to ${printable(directory)}. The SHA-256 of each file was compared with the backup.\n`,
  );
  if (!ok) io.out(`DAMAGED: ${count(damaged.length, 'path', 'paths')} could not be restored whole; see above.\n`);
  return ok ? EXIT.ok : EXIT.failed;
}

/** Walks every component that was captured. What failed when the backup was made is a notice, not damage. */
function eachComponent(details: Details, walker: { component(instance: string, root: Buffer): void }): void {
  for (const { name, root } of details.instances) if (root) walker.component(name, root);
}

function notices({ backup, details }: Opened): string[] {
  const warnings: string[] = [];
  if (!backup.confirmed)
    warnings.push(`${backup.name} is unconfirmed: whoever made it was never told that it was complete`);
  if (details.status !== 'complete') warnings.push(`${backup.name} is ${details.status}, not complete`);
  for (const { name, root, error } of details.instances) {
    if (!root) warnings.push(`${name} is not in this backup${error === '' ? '' : `: ${error}`}`);
  }
  return warnings;
}

function printDamage(io: Io, damaged: readonly DamagedPath[], other: ReadonlySet<string>): void {
  for (const { instance, path, reason } of damaged.slice(0, SHOWN)) {
    io.err(`Damaged: ${path === '' ? `the root of ${printable(instance)}` : path}: ${printable(reason)}\n`);
  }
  if (damaged.length > SHOWN) io.err(`… and ${damaged.length - SHOWN} more (--json lists all).\n`);
  for (const message of [...other].slice(0, SHOWN)) io.err(`Damage in the repository: ${printable(message)}\n`);
  if (other.size > SHOWN) io.err(`… and ${other.size - SHOWN} more (--json lists all).\n`);
}

function contents(tally: Tally): string {
  const { files, directories, links, bytes } = tally;
  const linked = links === 0 ? '' : `, ${count(links, 'link', 'links')}`;
  return `${count(files, 'file', 'files')}, ${count(directories, 'directory', 'directories')}${linked}, ${size(bytes)}`;
}

function progress(io: Io, word: string, backup: Backup): (bytes: number) => void {
  const all = backup.manifest ? totals(backup.manifest).sizeBytes : undefined;
  let done = 0;
  let next = PROGRESS_STEP;
  return (bytes) => {
    done += bytes;
    if (!io.progress || done < next) return;
    next = done + PROGRESS_STEP;
    io.progress(`${word} ${size(done)}${all === undefined ? '' : ` of ${size(all)}`}`);
  };
}

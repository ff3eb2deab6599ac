import { link, lstat, mkdir } from 'node:fs/promises';
import { BackupError, printable, systemErrorCode } from '@foodsave-backup/kernel';
import { assertLayoutPath, fsPath, isAtOrBelow } from '../names.ts';
import type { CommitResult, EntryMeta, RestoreEntry, RestorePlan, RestoreRun, RestoreSink } from '../port.ts';
import { Anchor } from './anchor.ts';
import { Metadata, type MetadataPolicy } from './metadata.ts';
import { LinkTargets } from './link-targets.ts';
import { alreadyThere, makeFifoAt, restoreFailed, writeFileAt, writeLinkAt } from './write-file.ts';

/** Whether `paths` asks for an entry; the directories above what was asked for are wanted too, as places. */
export function isWanted(path: string, paths: readonly string[] | undefined): 'yes' | 'above' | 'no' {
  if (!paths || paths.some((wanted) => isAtOrBelow(path, wanted))) return 'yes';
  return paths.some((wanted) => isAtOrBelow(wanted, path)) ? 'above' : 'no';
}

/** The directory of a layout path (`''` at the top) and its last name. */
export function splitPath(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { parent: '', name: path } : { parent: path.slice(0, slash), name: path.slice(slash + 1) };
}

/**
 * Lays entries out below a directory. Nothing is written through a link, nothing outside the directory, and no existing
 * file is replaced: one with the same content is taken as restored (two components may hold the same file), any other is
 * RESTORE_FAILED. Modes and times of directories are set by `commit()`, when nothing is written into them any more.
 */
export class TargetSink implements RestoreSink {
  private readonly run: RestoreRun;
  private readonly anchor: Anchor;
  private readonly metadata: Metadata;
  private readonly directories: { path: string; meta: EntryMeta }[] = [];
  private readonly links = new LinkTargets<string>();
  /** Where names of files are linked from; a second one, because an anchor keeps one path. */
  private from: Anchor | undefined;
  private files = 0;
  private bytes = 0;
  private closed = false;

  private constructor(run: RestoreRun, anchor: Anchor, metadata: Metadata) {
    this.run = run;
    this.anchor = anchor;
    this.metadata = metadata;
  }

  static async open(run: RestoreRun, directory: string, policy?: MetadataPolicy): Promise<TargetSink> {
    try {
      await mkdir(fsPath(directory), { recursive: true, mode: 0o700 });
      return new TargetSink(run, await Anchor.open(directory), await Metadata.open(policy));
    } catch (error) {
      throw new BackupError(
        'TARGET_INVALID',
        `"${printable(directory)}" cannot be used as a target (${systemErrorCode(error) ?? 'unknown reason'})`,
        {
          hint: 'Choose a new or empty directory that you may write to.',
          cause: error,
        },
      );
    }
  }

  plan(): Promise<RestorePlan> {
    return Promise.reject(new BackupError('INTERNAL', 'A restore into a target directory has no plan'));
  }

  async write(entry: RestoreEntry): Promise<void> {
    assertLayoutPath(entry.path);
    const wanted = isWanted(entry.path, this.run.paths);
    if (wanted === 'no' || (wanted === 'above' && entry.kind !== 'directory')) return;
    const { parent, name } = splitPath(entry.path);
    try {
      const directory = await this.anchor.directory(parent, (path) => this.created(path, entry.meta));
      const path = `${directory ?? ''}/${name}`;
      if (entry.kind === 'directory') await this.makeDirectory(path, entry);
      else await this.create(path, entry);
    } catch (error) {
      throw restoreFailed(entry.path, error);
    }
  }

  /** A parent that the backup does not describe (`_outside/var`): ordinary modes, the time of what made it necessary. */
  private created(path: string, of: EntryMeta): void {
    this.directories.push({ path, meta: { mode: 0o755, uid: of.uid, gid: of.gid, mtimeNs: of.mtimeNs } });
  }

  private async makeDirectory(path: string, entry: RestoreEntry): Promise<void> {
    try {
      await mkdir(fsPath(path), { mode: 0o700 });
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST' || !(await lstat(fsPath(path))).isDirectory()) throw error;
    }
    this.directories.push({ path: entry.path, meta: entry.meta });
  }

  private async create(path: string, entry: RestoreEntry): Promise<void> {
    const { signal } = this.run;
    try {
      if (entry.kind === 'symlink') {
        await writeLinkAt(path, entry, this.metadata);
        return;
      }
      if (entry.kind === 'fifo') {
        await makeFifoAt(path, entry, this.metadata);
        return;
      }
      if (!(await this.linked(path, entry))) await this.newFile(path, entry);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST' || !(await alreadyThere(path, entry, signal))) throw error;
    }
    if (entry.kind === 'file') this.files++;
  }

  private async newFile(path: string, entry: RestoreEntry): Promise<void> {
    const { signal } = this.run;
    this.bytes += await writeFileAt(path, entry, { signal, metadata: this.metadata, durable: false });
    this.metadata.sawMode(entry.meta.mode);
    this.links.add(entry, entry.path);
  }

  /** Gives a file that was restored already another name; false when there is none, or no links can be made here. */
  private async linked(path: string, entry: RestoreEntry): Promise<boolean> {
    const first = this.links.find(entry);
    if (first === undefined) return false;
    const { parent, name } = splitPath(first);
    this.from ??= await Anchor.open(this.anchor.path);
    const directory = await this.from.directory(parent);
    try {
      if (directory === undefined) return false;
      await link(fsPath(`${directory}/${name}`), fsPath(path));
      return true;
    } catch (error) {
      // No hard links on this file system, or too many of one file: this name becomes a copy, and later ones links to it.
      const code = systemErrorCode(error) ?? '';
      if (!['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'].includes(code)) throw error;
      this.metadata.copied();
      return false;
    }
  }

  async commit(): Promise<CommitResult> {
    for (const { path, meta } of this.directories.reverse()) {
      const { parent, name } = splitPath(path);
      const directory = await this.anchor.directory(parent);
      try {
        await this.metadata.applyToPath(`${directory ?? ''}/${name}`, 'directory', meta);
      } catch (error) {
        throw restoreFailed(path, error);
      }
    }
    this.directories.length = 0;
    return { files: this.files, bytes: this.bytes, notes: this.metadata.notes() };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.from?.close();
    await this.anchor.close();
  }
}

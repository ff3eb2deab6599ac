import { constants, existsSync } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { BackupError, printable, systemErrorCode } from '@foodsave-backup/kernel';
import { fsPath } from '../names.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/**
 * An open directory below which paths are resolved one component at a time without following a link, as openat(2) with
 * O_NOFOLLOW does: a child is opened through `/proc/self/fd/<n>/<name>`, so that nobody can swap a parent for a link in
 * between. Where there is no /proc the components are still opened one by one and links refused, but by their paths.
 *
 * Keeps the directories of the last path open; not for concurrent use.
 */
export class Anchor {
  readonly path: string;
  private readonly root: FileHandle;
  private readonly byDescriptor: boolean;
  private open: { name: string; handle: FileHandle }[] = [];

  private constructor(path: string, root: FileHandle) {
    this.path = path;
    this.root = root;
    this.byDescriptor = existsSync('/proc/self/fd');
  }

  /** `path` itself is trusted: links in it are followed. */
  static async open(path: string): Promise<Anchor> {
    return new Anchor(path, await open(fsPath(path), DIRECTORY));
  }

  /**
   * The path under which the directory `relative` (`''`: the anchor) can be used right now, valid until the next call.
   * Missing directories are created with mode 0700 when `create` is given, which hears of each one. Undefined when one is
   * missing, or something else is in its place, and `create` is absent; otherwise TARGET_INVALID for a link or a file.
   */
  async directory(relative: string, create?: (path: string) => void): Promise<string | undefined> {
    const names = relative === '' ? [] : relative.split('/');
    let shared = 0;
    while (shared < this.open.length && shared < names.length && this.open[shared]?.name === names[shared]) shared++;
    for (const stale of this.open.splice(shared)) await stale.handle.close();
    for (const [index, name] of names.entries()) {
      if (index < shared) continue;
      const path = `${this.current()}/${name}`;
      const at = names.slice(0, index + 1).join('/');
      const handle = await this.step(path, at, create);
      if (!handle) return undefined;
      this.open.push({ name, handle });
    }
    return this.current();
  }

  private async step(
    path: string,
    at: string,
    create: ((path: string) => void) | undefined,
  ): Promise<FileHandle | undefined> {
    try {
      return await openDirectory(path);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'ENOENT' && create) {
        // Another component that is restored beside this one may have made it just now.
        const made = await mkdir(fsPath(path), { mode: 0o700 }).then(
          () => true,
          (failure: unknown) => {
            if (systemErrorCode(failure) !== 'EEXIST') throw failure;
            return false;
          },
        );
        if (made) create(at);
        return openDirectory(path);
      }
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
      if (!create) return undefined;
      throw new BackupError('TARGET_INVALID', `"${printable(at)}" in "${printable(this.path)}" is not a directory`, {
        hint: 'A link or a file stands where the backup has a directory. Nothing is ever written through a link: remove it or choose an empty target.',
        cause: error,
      });
    }
  }

  private current(): string {
    const last = this.open.at(-1);
    if (this.byDescriptor) return `/proc/self/fd/${(last?.handle ?? this.root).fd}`;
    return [this.path, ...this.open.map((level) => level.name)].join('/');
  }

  /** Makes completed creations, renames and removals in the directory of the last `directory()` call durable. */
  async sync(): Promise<void> {
    await (this.open.at(-1)?.handle ?? this.root).sync();
  }

  async close(): Promise<void> {
    for (const level of this.open.splice(0)) await level.handle.close();
    await this.root.close();
  }
}

/** Opens a directory, never a link to one. */
function openDirectory(path: string): Promise<FileHandle> {
  return open(fsPath(path), DIRECTORY | constants.O_NOFOLLOW);
}

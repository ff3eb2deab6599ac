import type { PreviousEntry } from '@foodsave-backup/component';
import type { ComponentWriter, TreeRecord } from '@foodsave-backup/repository';
import { toPrevious } from './entry-meta.ts';
import { PathNames } from './names-path.ts';

/** Files that a driver has asked for and that are not stored yet: as many as it reads ahead, and then some. */
const REMEMBERED = 1024;

/**
 * What the newest backup has at the paths of a component. A driver asks for a file to find it unchanged, and its entry is
 * needed again when it is stored.
 */
export class PreviousEntries {
  readonly #writer: ComponentWriter;
  readonly #names = new PathNames();
  readonly #asked = new Map<string, TreeRecord>();

  constructor(writer: ComponentWriter) {
    this.#writer = writer;
  }

  find(path: string): PreviousEntry | undefined | Promise<PreviousEntry | undefined> {
    const found = this.#writer.previous(this.#names.of(path));
    if (found instanceof Promise) return found.then((record) => this.#remember(path, record));
    return this.#remember(path, found);
  }

  #remember(path: string, record: TreeRecord | undefined): PreviousEntry | undefined {
    if (record?.entry.type === 'file') {
      if (this.#asked.size >= REMEMBERED) this.#asked.clear();
      this.#asked.set(path, record);
    }
    return toPrevious(record?.entry);
  }

  /** The record itself, once. */
  async take(path: string): Promise<TreeRecord | undefined> {
    const known = this.#asked.get(path);
    this.#asked.delete(path);
    return known ?? (await this.#writer.previous(this.#names.of(path)));
  }
}

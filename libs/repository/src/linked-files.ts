import type { NewFile } from './tree-writer.ts';

/** One of the names of a file that has several. */
export interface FileName {
  /** Equal for all of them within a component, 1 to 32 bytes. */
  link: Buffer;
  /** How many there are, also outside of the component. */
  names: number;
}

/** Remembers what was stored of files with several names, until all of them were seen. */
export class LinkedFiles {
  readonly #files = new Map<string, { left: number; file: NewFile }>();

  /** What was stored under another name of the file; `undefined` for its first one. */
  find(name: FileName | undefined): NewFile | undefined {
    return name === undefined ? undefined : this.#files.get(name.link.toString('latin1'))?.file;
  }

  /** To be called once for each name. */
  add(name: FileName, file: NewFile): void {
    const key = name.link.toString('latin1');
    const left = (this.#files.get(key)?.left ?? name.names) - 1;
    if (left > 0) this.#files.set(key, { left, file });
    else this.#files.delete(key);
  }
}

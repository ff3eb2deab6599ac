import { randomBytes } from 'node:crypto';
import { newId, type Clock } from '@foodsave-backup/kernel';
import { OBJECT_KIND, openObject, sealObject, type RepositoryKeys } from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { noteKey } from './layout.ts';

export type VerifyLevel = 'new' | 'quick' | 'full';

export interface VerificationNote {
  type: 'verification';
  at: string;
  /** Id of the backup. */
  backup: string;
  name: string;
  level: VerifyLevel;
  status: 'ok' | 'damaged';
  checkedBytes: number;
}

export interface StoredNote {
  key: string;
  note: VerificationNote;
}

/** Append-only facts about backups whose manifests never change. */
export class NoteStore {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;
  readonly #clock: Clock;
  readonly #cache = new Map<string, VerificationNote | undefined>();

  constructor(storage: StorageBackend, keys: RepositoryKeys, clock: Clock) {
    this.#storage = storage;
    this.#keys = keys;
    this.#clock = clock;
  }

  async add(note: VerificationNote): Promise<void> {
    const object = sealObject(this.#keys, OBJECT_KIND.note, Buffer.from(JSON.stringify(note)), randomBytes(32));
    await this.#storage.put(noteKey(newId(this.#clock)), object);
  }

  /** All notes that can be read, oldest first. A damaged note is as good as none: it only ever adds trust. */
  async list(): Promise<StoredNote[]> {
    const found: StoredNote[] = [];
    for await (const { key } of this.#storage.list('notes/')) {
      if (!this.#cache.has(key)) this.#cache.set(key, await this.#read(key));
      const note = this.#cache.get(key);
      if (note !== undefined) found.push({ key, note });
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async #read(key: string): Promise<VerificationNote | undefined> {
    try {
      const content = openObject(this.#keys, OBJECT_KIND.note, await this.#storage.get(key));
      const note = JSON.parse(Buffer.from(content).toString('utf8')) as Partial<VerificationNote>;
      return note.type === 'verification' && typeof note.backup === 'string' ? (note as VerificationNote) : undefined;
    } catch {
      return undefined;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#storage.delete(key);
  }
}

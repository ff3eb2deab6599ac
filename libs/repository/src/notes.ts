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

/** Pins a backup (`on`) or unpins it; of several, the latest by the note's id counts. */
export interface HoldNote {
  type: 'hold';
  at: string;
  /** Id of the backup. */
  backup: string;
  name: string;
  on: boolean;
  /** For people: why it is held. */
  reason?: string;
}

/** Packs that were found damaged: no new backup relies on what they hold. Of several notes, all count. */
export interface DamageNote {
  type: 'damage';
  at: string;
  /** Object keys. */
  packs: string[];
}

export type Note = VerificationNote | HoldNote | DamageNote;

/** Packs that a prune is about to delete. It is removed when they are gone, and never taken back (FORMAT.md section 11). */
export interface CondemnedNote {
  type: 'condemned';
  at: string;
  /** Keys of packs. */
  packs: string[];
}

export interface StoredNote {
  key: string;
  note: Note;
}

export interface NoteScan {
  /** Oldest first. */
  notes: StoredNote[];
  /** Keys of notes that are there and cannot be read: each may be a hold, or name packs that are about to go. */
  unreadable: string[];
  /** What prunes are about to delete, or were when they were interrupted. */
  condemned: { key: string; packs: readonly string[] }[];
}

/** Append-only facts about backups whose manifests never change. */
export class NoteStore {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;
  readonly #clock: Clock;
  readonly #cache = new Map<string, Note | CondemnedNote | 'unknown'>();

  constructor(storage: StorageBackend, keys: RepositoryKeys, clock: Clock) {
    this.#storage = storage;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** Returns the key of the new note; keys sort by time. */
  async add(note: Note | CondemnedNote): Promise<string> {
    const object = sealObject(this.#keys, OBJECT_KIND.note, Buffer.from(JSON.stringify(note)), randomBytes(32));
    const key = noteKey(newId(this.#clock));
    await this.#storage.put(key, object);
    return key;
  }

  /** All notes that can be read, oldest first. */
  async list(): Promise<StoredNote[]> {
    return (await this.scan()).notes;
  }

  /** All notes, those that cannot be read too: who deletes something must know of them. */
  async scan(): Promise<NoteScan> {
    const found: NoteScan = { notes: [], unreadable: [], condemned: [] };
    for (const key of await this.#storage.keys('notes/')) {
      const note = this.#cache.get(key) ?? (await this.#read(key));
      if (note === 'unreadable') found.unreadable.push(key);
      else if (note === undefined || note === 'unknown') continue;
      else if (note.type === 'condemned') found.condemned.push({ key, packs: note.packs });
      else found.notes.push({ key, note });
    }
    found.notes.sort((a, b) => (a.key < b.key ? -1 : 1));
    return found;
  }

  /** `undefined` when it vanished meanwhile. What could not be read is tried again the next time. */
  async #read(key: string): Promise<Note | CondemnedNote | 'unknown' | 'unreadable' | undefined> {
    let value: unknown;
    try {
      const content = openObject(this.#keys, OBJECT_KIND.note, await this.#storage.get(key));
      value = JSON.parse(Buffer.from(content).toString('utf8'));
    } catch {
      return (await this.#storage.stat(key)) === undefined ? undefined : 'unreadable';
    }
    const note = isNote(value) || isCondemned(value) ? value : 'unknown';
    this.#cache.set(key, note);
    return note;
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#storage.delete(key);
  }
}

function isNote(value: unknown): value is Note {
  if (typeof value !== 'object' || value === null) return false;
  const { type, backup, on, packs } = value as Partial<Record<string, unknown>>;
  if (type === 'damage') return Array.isArray(packs) && packs.every((key) => typeof key === 'string');
  return typeof backup === 'string' && (type === 'verification' || (type === 'hold' && typeof on === 'boolean'));
}

function isCondemned(value: unknown): value is CondemnedNote {
  if (typeof value !== 'object' || value === null) return false;
  const { type, packs } = value as Partial<Record<string, unknown>>;
  return type === 'condemned' && Array.isArray(packs) && packs.every((pack) => typeof pack === 'string');
}

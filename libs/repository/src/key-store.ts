import { BackupError, isoTime, newId, printable, toBackupError, type Clock } from '@foodsave-backup/kernel';
import {
  malformed,
  parseKeyFile,
  unwrapMasterKey,
  wrapMasterKey,
  type KeyFileInfo,
  type RepositoryInfo,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { keyFileKey } from './layout.ts';

/** One key of the repository: a wrapping of its master key under a secret. */
export interface StoredKey extends KeyFileInfo {
  /** Whether the secret that was given opens it. */
  opens: boolean;
  /** Why it is of no use: its file is damaged. Its id is then that of the file's name. */
  damaged?: string;
}

interface FoundKey extends StoredKey {
  /** Objects that hold it: a copy under another name counts like the original. */
  objects: string[];
}

const LABEL_MAX = 100;

/** The key files under `keys/`, which all wrap one master key. They are only ever added and removed, never changed. */
export class KeyStore {
  readonly #storage: StorageBackend;
  readonly #info: RepositoryInfo;
  readonly #keys: RepositoryKeys;
  readonly #clock: Clock;

  constructor(storage: StorageBackend, info: RepositoryInfo, keys: RepositoryKeys, clock: Clock) {
    this.#storage = storage;
    this.#info = info;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** Oldest first; `opens` says of each whether `secret` opens it. Costs one scrypt a key. */
  async list(secret: string): Promise<StoredKey[]> {
    return (await this.#find(secret)).map(({ objects: _objects, ...key }) => key);
  }

  /** Throws VALIDATION_FAILED for a label that is too long or not on one line. */
  static assertLabel(label: string): void {
    if (label.trim() !== '' && label.length <= LABEL_MAX && !/\p{Cc}/u.test(label)) return;
    throw new BackupError('VALIDATION_FAILED', `A label is one line of 1 to ${LABEL_MAX} characters`, {
      hint: 'Say who keeps the key, for example "safe in the office".',
    });
  }

  /** Wraps the master key under another secret. Throws VALIDATION_FAILED when the secret opens the repository already. */
  async add(secret: string, label: string): Promise<StoredKey> {
    const { key: same, added } = await this.ensure(secret, label);
    if (!added) {
      throw new BackupError('VALIDATION_FAILED', `This secret opens the repository already, as key ${same.id}`, {
        hint: 'Give another secret, or leave it out to have one generated.',
      });
    }
    return same;
  }

  /** The key that a secret opens, added when there is none. */
  async ensure(secret: string, label: string): Promise<{ key: StoredKey; added: boolean }> {
    KeyStore.assertLabel(label);
    const same = (await this.#find(secret)).find((key) => key.opens);
    if (same !== undefined) {
      const { objects: _objects, ...key } = same;
      return { key, added: false };
    }
    const info = { id: newId(this.#clock), createdAt: isoTime(this.#clock), label };
    const master = this.#keys.exportMaster();
    const object = keyFileKey(info.id);
    await this.#storage.put(object, await wrapMasterKey(master, secret, this.#info.id, info), { ifAbsent: true });
    const back = await unwrapMasterKey(await this.#storage.get(object), secret, this.#info.id);
    if (back?.equals(master) !== true) {
      throw new BackupError('IO_ERROR', `The new key ${info.id} does not read back as it was written`, {
        hint: 'Check the device of the repository. The other keys are as they were.',
      });
    }
    return { key: { ...info, opens: false }, added: true };
  }

  /** Removes every key that a secret opens but `kept`, which the caller has proven to open. Returns their ids. */
  async retire(secret: string, kept: string): Promise<string[]> {
    const opened = (await this.#find(secret)).filter(({ opens, id }) => opens && id !== kept);
    for (const { objects } of opened) for (const object of objects) await this.#storage.delete(object);
    return opened.map(({ id }) => id);
  }

  /**
   * Removes a key. Throws VALIDATION_FAILED for an unknown id or the last key that is not damaged, and, unless `confirmed`,
   * CONFIRMATION_REQUIRED for the one that `secret` opens.
   */
  async remove(id: string, secret: string, confirmed: boolean): Promise<StoredKey> {
    const all = await this.#find(secret);
    const key = all.find((one) => one.id === id);
    if (key === undefined) {
      throw new BackupError('VALIDATION_FAILED', `There is no key "${printable(id)}"`, {
        hint: 'Run "key list" to see the ids.',
      });
    }
    if (key.damaged === undefined && !all.some((other) => other !== key && other.damaged === undefined)) {
      throw new BackupError('VALIDATION_FAILED', `Key ${id} is the last one: without it no backup could be read`, {
        hint: 'Add another with "key add" first.',
      });
    }
    if (key.opens && !confirmed) {
      throw new BackupError('CONFIRMATION_REQUIRED', `Key ${id} is the one in use: backups stop without another`, {
        hint: 'Configure one of the other keys first, or give --yes.',
      });
    }
    for (const object of key.objects) await this.#storage.delete(object);
    const { objects: _objects, ...removed } = key;
    return removed;
  }

  async #find(secret: string): Promise<FoundKey[]> {
    const found = new Map<string, FoundKey>();
    for await (const { key: object } of this.#storage.list('keys/')) {
      if (!object.endsWith('.json')) continue;
      const key = await this.#read(object, secret);
      const known = found.get(key.id);
      // The whole one of two copies says what the key is.
      if (known === undefined || (known.damaged !== undefined && key.damaged === undefined)) {
        found.set(key.id, { ...key, objects: [...(known?.objects ?? []), object] });
      } else known.objects.push(object);
    }
    return [...found.values()].sort((a, b) => (a.createdAt + a.id < b.createdAt + b.id ? -1 : 1));
  }

  async #read(object: string, secret: string): Promise<StoredKey> {
    const file = await this.#storage.get(object);
    try {
      const { id, createdAt, label, nonce, wrapped } = parseKeyFile(file);
      if (nonce.length !== 12 || wrapped.length !== 48) throw malformed('a key file is incomplete');
      const master = await unwrapMasterKey(file, secret, this.#info.id);
      return { id, createdAt, label, opens: master?.equals(this.#keys.exportMaster()) === true };
    } catch (error) {
      const { code, message } = toBackupError(error);
      if (code !== 'DATA_DAMAGED') throw error;
      const id = object.slice('keys/'.length, -'.json'.length);
      return { id, createdAt: '', label: '', opens: false, damaged: message };
    }
  }
}

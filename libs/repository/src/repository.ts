import { randomBytes } from 'node:crypto';
import { BackupError, isoTime, newId, toBackupError, type Clock } from '@foodsave-backup/kernel';
import {
  decodeRepositoryFile,
  encodeRepositoryFile,
  RepositoryKeys,
  unwrapMasterKey,
  wrapMasterKey,
  type RepositoryInfo,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { BlobReader, type ReaderOptions } from './blob-reader.ts';
import { IndexStore, type IndexLoad } from './index-store.ts';
import { keyFileKey, REPOSITORY_COPY_KEY, REPOSITORY_KEY } from './layout.ts';
import { KeyStore } from './key-store.ts';
import { LeaseStore } from './leases.ts';
import { isAbsent, ManifestStore } from './manifest-store.ts';
import { NoteStore } from './notes.ts';
import { TreeReader } from './tree-reader.ts';

export interface InitOptions {
  clock: Clock;
  /** `undefined` for a repository without encryption. */
  secret: string | undefined;
  keyLabel: string;
  /** Files that explain and restore the repository without this software: name → bytes. */
  recoveryFiles: Readonly<Record<string, Uint8Array>>;
}

export interface OpenOptions {
  clock: Clock;
  secret: string | undefined;
  /** What `readInfo` has just given. */
  info?: RepositoryInfo;
  /** Called while the key is derived on the thread pool, with nothing else to do for this thread. */
  meanwhile?: (() => void) | undefined;
}

/** An opened repository: keys, index, manifests, notes and leases over one storage. */
export class Repository {
  readonly storage: StorageBackend;
  readonly info: RepositoryInfo;
  readonly keys: RepositoryKeys;
  readonly clock: Clock;
  readonly manifests: ManifestStore;
  readonly notes: NoteStore;
  readonly leases: LeaseStore;
  /** The secrets that open it. */
  readonly keyStore: KeyStore;
  readonly indexStore: IndexStore;

  /** Object key of the key file that the secret opened; `undefined` without encryption and of a new repository. */
  readonly #openedBy: string | undefined;

  private constructor(
    storage: StorageBackend,
    info: RepositoryInfo,
    keys: RepositoryKeys,
    clock: Clock,
    openedBy?: string,
  ) {
    this.storage = storage;
    this.#openedBy = openedBy;
    this.info = info;
    this.keys = keys;
    this.clock = clock;
    this.manifests = new ManifestStore(storage, keys);
    this.notes = new NoteStore(storage, keys, clock);
    this.leases = new LeaseStore(storage, clock);
    this.keyStore = new KeyStore(storage, info, keys, clock);
    this.indexStore = new IndexStore(storage, keys);
  }

  /** What is at a location: a repository, nothing, or something else that must not be written into. */
  static async probe(storage: StorageBackend): Promise<'repository' | 'empty' | 'foreign'> {
    if ((await storage.stat(REPOSITORY_KEY)) !== undefined) return 'repository';
    if ((await storage.stat(REPOSITORY_COPY_KEY)) !== undefined) return 'repository';
    for await (const _object of storage.list('')) return 'foreign';
    return 'empty';
  }

  /** Creates a repository in an empty location. Throws REPOSITORY_EXISTS. */
  static async init(storage: StorageBackend, options: InitOptions): Promise<Repository> {
    const found = await Repository.probe(storage);
    if (found !== 'empty') {
      const what = found === 'repository' ? 'is a repository already' : 'is not empty and holds no repository';
      throw new BackupError('REPOSITORY_EXISTS', `${storage.location} ${what}`, {
        hint: 'Choose an empty directory. Nothing was changed.',
      });
    }
    const id = randomBytes(16);
    const master = options.secret === undefined ? undefined : randomBytes(32);
    const info: RepositoryInfo = {
      id: id.toString('hex'),
      createdAt: isoTime(options.clock),
      encrypted: master !== undefined,
    };
    if (master !== undefined && options.secret !== undefined) {
      const keyId = newId(options.clock);
      const keyInfo = { id: keyId, createdAt: info.createdAt, label: options.keyLabel };
      await storage.put(keyFileKey(keyId), await wrapMasterKey(master, options.secret, info.id, keyInfo));
    }
    const file = encodeRepositoryFile(info);
    await storage.put(REPOSITORY_COPY_KEY, file, { ifAbsent: true });
    const first = await storage.put(REPOSITORY_KEY, file, { ifAbsent: true });
    if (!first && Buffer.compare(await storage.get(REPOSITORY_KEY), file) !== 0) {
      throw new BackupError('REPOSITORY_EXISTS', `${storage.location} was just made a repository by someone else`);
    }
    // Last: a crash before leaves a repository without them, which the next backup mends, and not a foreign directory.
    await Repository.#putRecovery(storage, options.recoveryFiles);
    return new Repository(storage, info, new RepositoryKeys(id, master), options.clock);
  }

  static async #putRecovery(storage: StorageBackend, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
    for (const [name, bytes] of Object.entries(files)) await storage.put(name, bytes);
  }

  /** Throws REPOSITORY_NOT_FOUND, FORMAT_TOO_NEW, KEY_MISSING, WRONG_KEY, REPOSITORY_DAMAGED. */
  static async open(storage: StorageBackend, options: OpenOptions): Promise<Repository> {
    const info = options.info ?? (await Repository.readInfo(storage));
    const id = Buffer.from(info.id, 'hex');
    if (!info.encrypted) {
      if (options.secret !== undefined) {
        throw new BackupError('CONFIG_INVALID', 'A key was given for a repository without encryption', {
          hint: 'Unset BACKUP_ENCRYPTION_KEY, or check that this is the repository you mean: someone may have replaced it.',
        });
      }
      return new Repository(storage, info, new RepositoryKeys(id, undefined), options.clock);
    }
    if (options.secret === undefined) {
      throw new BackupError('KEY_MISSING', 'The repository is encrypted and no key was given', {
        hint: 'Set BACKUP_ENCRYPTION_KEY or BACKUP_ENCRYPTION_KEY_FILE, or put the key file back where the configuration says.',
      });
    }
    const { master, object } = await Repository.#unlock(storage, info, options.secret, options.meanwhile);
    return new Repository(storage, info, new RepositoryKeys(id, master), options.clock, object);
  }

  /** `repository.json`, from either copy. */
  static async readInfo(storage: StorageBackend): Promise<RepositoryInfo> {
    let damage: BackupError | undefined;
    let unreadable: BackupError | undefined;
    for (const key of [REPOSITORY_KEY, REPOSITORY_COPY_KEY]) {
      try {
        return decodeRepositoryFile(await storage.get(key));
      } catch (error) {
        if (isAbsent(error)) continue;
        const known = toBackupError(error);
        if (known.code === 'FORMAT_TOO_NEW') throw known;
        if (known.code !== 'DATA_DAMAGED') unreadable = known;
        damage = known;
      }
    }
    if (damage === undefined) {
      throw new BackupError('REPOSITORY_NOT_FOUND', `There is no repository at ${storage.location}`, {
        hint: 'Check the path, or make one with "init". "create" makes one when the directory is missing or empty.',
      });
    }
    if (unreadable !== undefined) throw unreadable;
    throw new BackupError(
      'REPOSITORY_DAMAGED',
      `Both copies of repository.json at ${storage.location} are damaged: ${damage.message}`,
      {
        hint: 'Restore repository.json from a copy of the repository; it never changes.',
        cause: damage,
      },
    );
  }

  static async #unlock(
    storage: StorageBackend,
    info: RepositoryInfo,
    secret: string,
    meanwhile: (() => void) | undefined,
  ): Promise<{ master: Buffer; object: string }> {
    let tried = 0;
    let damaged = 0;
    for await (const object of storage.list('keys/')) {
      if (!object.key.endsWith('.json')) continue;
      tried++;
      try {
        const unwrapping = unwrapMasterKey(await storage.get(object.key), secret, info.id);
        meanwhile?.();
        const master = await unwrapping;
        if (master !== undefined) return { master, object: object.key };
      } catch (error) {
        const known = toBackupError(error);
        if (known.code !== 'DATA_DAMAGED') throw known;
        damaged++;
      }
    }
    if (tried === 0 || damaged === tried) {
      throw new BackupError('REPOSITORY_DAMAGED', `No usable key file is left in ${storage.location}/keys`, {
        hint: 'Put keys/<id>.json back from a copy of the repository. Without it nothing can be decrypted.',
      });
    }
    throw new BackupError('WRONG_KEY', 'The key does not open this repository', {
      hint: 'Check BACKUP_ENCRYPTION_KEY or the key file. Nothing was changed.',
    });
  }

  /** Whether the key that opened it is still one of its keys: another process may have taken it away. */
  async isStillOpen(): Promise<boolean> {
    return this.#openedBy === undefined || (await this.storage.stat(this.#openedBy)) !== undefined;
  }

  /** Writes the recovery files and the copies of repository.json where they are missing or differ. */
  async renewRecovery(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const info = encodeRepositoryFile(this.info);
    files = { ...files, [REPOSITORY_COPY_KEY]: info, [REPOSITORY_KEY]: info };
    for (const [name, bytes] of Object.entries(files)) {
      const stat = await this.storage.stat(name);
      if (stat?.size === bytes.length && Buffer.compare(await this.storage.get(name), bytes) === 0) continue;
      await this.storage.put(name, bytes);
    }
  }

  loadIndex(signal?: AbortSignal): Promise<IndexLoad> {
    return this.indexStore.load(signal);
  }

  /**
   * A reader that looks at the index again when a pack has gone or a blob is unknown: a prune may have moved what was there.
   * Not with `asItIs`, for whoever took packs out of the index on purpose. The others: see BlobReader.
   */
  reader(
    load: IndexLoad,
    options: { asItIs?: boolean } & Omit<ReaderOptions, 'refresh'> = {},
  ): { blobs: BlobReader; trees: TreeReader } {
    const { asItIs, ...reading } = options;
    const refresh = asItIs === true ? {} : { refresh: () => this.indexStore.refresh(load) };
    const blobs = new BlobReader(this.storage, this.keys, load.index, { ...refresh, ...reading });
    return { blobs, trees: new TreeReader(blobs) };
  }
}

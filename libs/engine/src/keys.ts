import { createHash } from 'node:crypto';
import { BackupError, isoTime } from '@foodsave-backup/kernel';
import { isAbsent, KeyStore, Repository, type Lease, type StoredKey } from '@foodsave-backup/repository';
import { openRepository, withLease } from './opened.ts';
import type { EngineDeps } from './types.ts';

export interface KeyListView {
  encrypted: boolean;
  /** Oldest first. */
  keys: StoredKey[];
}

export interface NewKey {
  label: string;
  /** The secret; it is kept nowhere but in what the caller has it from. Awaited when the repository is open and ready. */
  secret: () => Promise<string>;
}

/** What a person prints and puts into a safe. `text` holds the secret: it belongs into a private file, never into a log. */
export interface KeySheet {
  repository: string;
  location: string;
  application: string;
  keyId: string;
  /** Hexadecimal; absent while the repository has no recover.mjs. */
  recoverSha256?: string;
  text: string;
}

export interface RotatedKey {
  /** The key that opens the repository now. */
  key: StoredKey;
  /** Ids of the keys that the old secret opened; they are gone. */
  removed: string[];
  /** Where the new secret is. */
  location: string;
  /** A rotation that was interrupted was brought to its end; no other secret was made. */
  resumed: boolean;
}

interface Unlocked {
  repository: Repository;
  secret: string;
}

/** The secrets that open the repository. Nothing here becomes a run, so that no journal or event can hold a secret. */
export class EngineKeys {
  readonly #deps: EngineDeps;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** Every key and whether the secret in use opens it; none in a repository without encryption. */
  async list(): Promise<KeyListView> {
    const unlocked = await this.#open();
    if (unlocked === undefined) return { encrypted: false, keys: [] };
    return { encrypted: true, keys: await unlocked.repository.keyStore.list(unlocked.secret) };
  }

  /** Lets another secret open the repository. Throws CONFIG_INVALID without encryption, VALIDATION_FAILED, LOCKED. */
  async add({ label, secret }: NewKey): Promise<StoredKey> {
    KeyStore.assertLabel(label);
    return this.#changing(async ({ repository }) => repository.keyStore.add(await secret(), label));
  }

  /**
   * Takes a key away. Whoever has that secret and an older copy of `keys/` can still open the repository: the master key stays.
   * Throws as `KeyStore.remove` does. `confirmed`: also the one in use.
   */
  async remove(id: string, options: { confirmed: boolean }): Promise<StoredKey> {
    const removed = await this.#changing(({ repository, secret }) =>
      repository.keyStore.remove(id, secret, options.confirmed),
    );
    // The next question must not be answered with a key that is gone.
    if (removed.opens && this.#deps.opened !== undefined) delete this.#deps.opened.current;
    return removed;
  }

  /**
   * Puts a new generated secret in the place of the one in use: wraps the master key under it, proves that it opens the
   * repository and reads its backups, puts it into the key file, and only then takes the old key away. No data is
   * written anew. Killed anywhere, the key file opens the repository, and the next rotation ends this one.
   *
   * Whoever has the old secret and an older copy of `keys/` can still read the repository: the master key stays. Throws
   * CONFIG_INVALID without encryption, and where the environment names the secret; LOCKED.
   */
  async rotate(label: string): Promise<RotatedKey> {
    KeyStore.assertLabel(label);
    const { rotation } = this.#deps.keys;
    return this.#changing(async ({ repository, secret: current }) => {
      if (rotation === undefined) throw named();
      const { keyStore } = repository;
      const retired = await rotation.retired();
      const resumed = retired !== undefined && retired !== current;
      const secret = resumed ? current : await rotation.next();
      const old = resumed ? retired : current;
      const { key } = await keyStore.ensure(secret, label);
      await this.#prove(secret, repository);
      if (!resumed) await rotation.activate();
      if ((await this.#deps.keys.load())?.secret !== secret) {
        throw new BackupError('IO_ERROR', `${rotation.location} does not read back as it was written`, {
          hint: 'Nothing was taken away: the old and the new secret both open the repository.',
        });
      }
      const removed = await keyStore.retire(old, key.id);
      await rotation.finish();
      if (this.#deps.opened !== undefined) delete this.#deps.opened.current;
      return { key: { ...key, opens: true }, removed, location: rotation.location, resumed };
    });
  }

  /** Opens the repository with a secret as another process would, and reads its manifests. */
  async #prove(secret: string, known: Repository): Promise<void> {
    const opened = await Repository.open(this.#deps.storage, { clock: this.#deps.clock, secret });
    const names = async ({ manifests }: Repository): Promise<string> =>
      JSON.stringify((await manifests.list()).manifests.map(({ id }) => id));
    if ((await names(opened)) === (await names(known))) return;
    throw new BackupError('IO_ERROR', 'With the new secret the backups do not read as with the old one', {
      hint: 'Run "check". The old secret still opens the repository.',
    });
  }

  /** The sheet of the key in use. Throws CONFIG_INVALID without encryption. */
  async export(): Promise<KeySheet> {
    const { repository, secret } = this.#encrypted(await this.#open());
    const key = (await repository.keyStore.list(secret)).find((one) => one.opens);
    if (key === undefined) {
      throw new BackupError('WRONG_KEY', 'The key in use was taken out of the repository meanwhile', {
        hint: 'Configure another key of the repository.',
      });
    }
    const recoverSha256 = await hashOfRecover(this.#deps);
    const own = (await this.#deps.recoveryFiles())['recover.mjs'];
    const foreign =
      own !== undefined &&
      recoverSha256 !== undefined &&
      createHash('sha256').update(own).digest('hex') !== recoverSha256;
    const { config, storage, clock } = this.#deps;
    const facts = {
      repository: repository.info.id,
      location: storage.location,
      application: config.application,
      keyId: key.id,
      ...(recoverSha256 === undefined ? {} : { recoverSha256 }),
    };
    const created = repository.info.createdAt;
    return {
      ...facts,
      text: sheetText(facts, { secret, created, label: key.label, printed: isoTime(clock), foreign }),
    };
  }

  async #open(): Promise<Unlocked | undefined> {
    const repository = await openRepository(this.#deps);
    if (!repository.info.encrypted) return undefined;
    const secret = (await this.#deps.keys.load())?.secret;
    if (secret !== undefined) return { repository, secret };
    throw new BackupError('KEY_MISSING', 'The key has vanished meanwhile', { hint: 'Put the key file back.' });
  }

  #encrypted(unlocked: Unlocked | undefined): Unlocked {
    if (unlocked !== undefined) return unlocked;
    throw new BackupError('CONFIG_INVALID', 'The repository is not encrypted: it has no keys', {
      hint: 'Encryption is chosen when a repository is made: make another one with "init".',
    });
  }

  /** One at a time: of two who each remove the other's key, none would be left. */
  async #changing<T>(work: (unlocked: Unlocked, lease: Lease) => Promise<T>): Promise<T> {
    const unlocked = this.#encrypted(await this.#open());
    const request = { purpose: 'key', exclusive: false, conflicts: ['key'] };
    return withLease(unlocked.repository, request, (lease) => work(unlocked, lease));
  }
}

function named(): BackupError {
  return new BackupError('CONFIG_INVALID', 'The secret comes from the environment, which is not ours to change', {
    hint: 'Run "key add --key-file-out FILE", set BACKUP_ENCRYPTION_KEY_FILE to that file everywhere, then "key remove" the old one.',
  });
}

async function hashOfRecover(deps: EngineDeps): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await deps.storage.get('recover.mjs'))
      .digest('hex');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

const FOREIGN = `
                 NOT the recover.mjs of this software. The next backup renews it: print the sheet again then.`;

function sheetText(
  facts: Omit<KeySheet, 'text'>,
  more: { secret: string; created: string; label: string; printed: string; foreign: boolean },
): string {
  const { recoverSha256 } = facts;
  return `KEY SHEET - FoodSave Backup
Print this and keep it somewhere else than the backups. Whoever has it and the backups can read them;
without it, and without another key, nobody can.

Secret           ${more.secret}

Application      ${facts.application}
Repository       ${facts.repository}
Location         ${facts.location}
Repository made  ${more.created}
Key              ${facts.keyId} (${more.label})
Sheet made       ${more.printed}
recover.mjs      ${recoverSha256 === undefined ? 'not in the repository yet: the next backup puts it there' : `SHA-256 ${recoverSha256}`}${more.foreign ? FOREIGN : ''}

To restore without this software, with Node.js 22.15 or newer, in a copy of the repository:
  sha256sum recover.mjs                                  (compare with the sum above)
  node recover.mjs list --key-file KEY.TXT               (KEY.TXT: a file with the secret in one line)
  node recover.mjs verify NAME --key-file KEY.TXT
  node recover.mjs restore NAME DIRECTORY --key-file KEY.TXT
Without --key-file it asks for the secret. RECOVERY.md in the repository explains the rest.

To restore with this software:
  BACKUP_ENCRYPTION_KEY_FILE=KEY.TXT foodsave-backup restore NAME --target DIRECTORY --repository LOCATION
`;
}

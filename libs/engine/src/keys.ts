import { createHash } from 'node:crypto';
import { BackupError, isoTime } from '@foodsave-backup/kernel';
import { isAbsent, KeyStore, type Lease, type Repository, type StoredKey } from '@foodsave-backup/repository';
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
    const { config, storage, clock } = this.#deps;
    const facts = {
      repository: repository.info.id,
      location: storage.location,
      application: config.application,
      keyId: key.id,
      ...(recoverSha256 === undefined ? {} : { recoverSha256 }),
    };
    const created = repository.info.createdAt;
    return { ...facts, text: sheetText(facts, { secret, created, label: key.label, printed: isoTime(clock) }) };
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

function sheetText(
  facts: Omit<KeySheet, 'text'>,
  more: { secret: string; created: string; label: string; printed: string },
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
recover.mjs      ${recoverSha256 === undefined ? 'not in the repository yet: the next backup puts it there' : `SHA-256 ${recoverSha256}`}

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

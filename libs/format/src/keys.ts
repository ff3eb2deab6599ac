import { createHash, createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** Key material of an opened repository (FORMAT.md section 3). Never leaves the process, never enters an error or a log. */
export class RepositoryKeys {
  readonly repositoryId: Buffer;
  readonly encrypted: boolean;
  readonly blobIdKey: Buffer;
  readonly pageHashKey: Buffer;
  readonly chunkerKey: Buffer;
  readonly manifestKey: Buffer;
  readonly #master: KeyObject;

  /** `master`: 32 bytes, or `undefined` for a repository without encryption. `repositoryId`: 16 bytes. */
  constructor(repositoryId: Uint8Array, master: Uint8Array | undefined) {
    this.repositoryId = Buffer.from(repositoryId);
    this.encrypted = master !== undefined;
    this.#master = createSecretKey(
      master ?? createHash('sha256').update('foodsave-backup plain repository').update(repositoryId).digest(),
    );
    this.blobIdKey = this.#derive(this.repositoryId, 'fsb1 blob id');
    this.pageHashKey = this.#derive(this.repositoryId, 'fsb1 page hash');
    this.chunkerKey = this.#derive(this.repositoryId, 'fsb1 chunker');
    this.manifestKey = this.#derive(this.repositoryId, 'fsb1 manifest');
  }

  /** The key of one object (pack, index file, note, private manifest part) from its 32-byte salt. */
  objectKey(kind: number, salt: Uint8Array): Buffer {
    return this.#derive(salt, `fsb1 object ${kind}`);
  }

  hmacBlobId(...parts: Uint8Array[]): Buffer {
    const hmac = createHmac('sha256', createSecretKey(this.blobIdKey));
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }

  /** For wrapping under another secret only. */
  exportMaster(): Buffer {
    return this.#master.export();
  }

  toJSON(): string {
    return '[keys]';
  }

  #derive(salt: Uint8Array, info: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#master, salt, info, 32));
  }
}

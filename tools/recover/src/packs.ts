import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Cache } from './bytes.ts';
import { asDamage, Damage, errorCode } from './errors.ts';
import { HEADER_SIZE, OBJECT, objectKey, openPart, readHeader, type Header, type Keys } from './sealed.ts';

/** By folder code. */
export const FOLDERS = ['meta', 'database', 'files', 'config', 'vector_store', 'custom'] as const;
const MAX_PACK = 64 * 1024 * 1024;
const FOOTER_SIZE = 16;
const OPEN_PACKS = 32;

interface OpenPack {
  readonly fd: number;
  readonly size: number;
  readonly header: Header;
  /** Opens its frames; undefined without encryption. */
  readonly key: Buffer | undefined;
}

/** The pack files of a repository. Packs are named by the hexadecimal hash that is their file name. */
export class Packs {
  private readonly directory: string;
  private readonly keys: Keys;
  private readonly files = new Map<string, string>();
  private readonly opened = new Cache<OpenPack>(
    OPEN_PACKS,
    () => 1,
    (pack) => closeSync(pack.fd),
  );

  constructor(directory: string, keys: Keys) {
    this.directory = directory;
    this.keys = keys;
    for (const folder of FOLDERS) {
      for (const file of listFolder(join(directory, folder))) {
        const name = /^([0-9a-f]{64})\.pack$/.exec(file)?.[1];
        if (name !== undefined && !this.files.has(name)) this.files.set(name, `${folder}/${file}`);
      }
    }
  }

  names(): string[] {
    return [...this.files.keys()];
  }

  describe(name: string): string {
    return `pack ${this.files.get(name) ?? `${name}.pack`}`;
  }

  /** Frame or header bytes: `length` bytes at `offset`, never from the directory's footer. */
  read(name: string, offset: number, length: number): { bytes: Buffer; key: Buffer | undefined } {
    const pack = this.open(name);
    if (offset < HEADER_SIZE || offset + length > pack.size - FOOTER_SIZE) {
      throw new Damage(`${this.describe(name)} is shorter than its directory says`);
    }
    return { bytes: this.bytes(pack, name, offset, length), key: pack.key };
  }

  /** The directory at the end of the pack: a record that lists its blobs. */
  directoryOf(name: string): Buffer {
    const pack = this.open(name);
    const what = this.describe(name);
    const footer = this.bytes(pack, name, pack.size - FOOTER_SIZE, FOOTER_SIZE);
    const length = footer.readUInt32LE(0);
    const room = pack.size - FOOTER_SIZE - HEADER_SIZE;
    if (footer.readUInt32LE(4) !== 0 || footer.toString('latin1', 8) !== 'FSBPKEND' || length > room) {
      throw new Damage(`${what} does not end as it should`);
    }
    const sealed = this.bytes(pack, name, pack.size - FOOTER_SIZE - length, length);
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32LE(2, 0);
    return openPart(pack.header, OBJECT.pack, nonce, sealed, this.keys, `the directory of ${what}`);
  }

  /** Reads the whole pack: its name must be the SHA-256 of its bytes, its folder the one its header names, its directory sound. */
  check(name: string): void {
    const pack = this.open(name);
    const hash = createHash('sha256');
    for (let at = 0; at < pack.size;) {
      const part = this.bytes(pack, name, at, Math.min(1024 * 1024, pack.size - at));
      hash.update(part);
      at += part.length;
    }
    if (hash.digest('hex') !== name) throw new Damage(`${this.describe(name)} is damaged: its SHA-256 is not its name`);
    const folder = FOLDERS[pack.header.folder];
    if (!this.files.get(name)?.startsWith(`${folder ?? ''}/`)) {
      throw new Damage(`${this.describe(name)} belongs into the folder ${folder ?? ''}`);
    }
    this.directoryOf(name);
  }

  close(): void {
    this.opened.clear();
  }

  private open(name: string): OpenPack {
    const cached = this.opened.get(name);
    if (cached) return cached;
    const file = this.files.get(name);
    const what = this.describe(name);
    if (file === undefined) throw new Damage(`${what} is missing`);
    let fd: number | undefined;
    try {
      fd = openSync(join(this.directory, file), 'r');
      const { size } = fstatSync(fd);
      if (size > MAX_PACK) throw new Damage(`${what} is larger than the format allows`);
      if (size < HEADER_SIZE + FOOTER_SIZE) throw new Damage(`${what} is cut off`);
      const header = readHeader(readExactly(fd, 0, HEADER_SIZE, what), OBJECT.pack, this.keys, what);
      const key = this.keys.encrypted ? objectKey(this.keys, OBJECT.pack, header.salt) : undefined;
      const pack = { fd, size, header, key };
      this.opened.set(name, pack);
      return pack;
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw asDamage(error, what);
    }
  }

  private bytes(pack: OpenPack, name: string, offset: number, length: number): Buffer {
    try {
      return readExactly(pack.fd, offset, length, this.describe(name));
    } catch (error) {
      throw asDamage(error, this.describe(name));
    }
  }
}

function readExactly(fd: number, offset: number, length: number, what: string): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length;) {
    const read = readSync(fd, bytes, at, length - at, offset + at);
    if (read === 0) throw new Damage(`${what} is cut off`);
    at += read;
  }
  return bytes;
}

/** The names in a folder of the repository, sorted; none when the folder does not exist. */
export function listFolder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw asDamage(error, `the folder ${path}`);
  }
}

// A small writer of repositories, made from FORMAT.md like the reader but without a line of it, so that a mistake must be
// made twice to go unnoticed. It writes what a real writer would not, too: that is what its low-level functions are for.
import { createCipheriv, createHmac, hkdfSync, randomBytes, scryptSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { cat, field, numberField, sha, u32, varint } from './encode.ts';

export type Folder = 'meta' | 'database' | 'files' | 'config' | 'vector_store' | 'custom';
const FOLDER_CODES: Folder[] = ['meta', 'database', 'files', 'config', 'vector_store', 'custom'];

interface PendingBlob {
  id: Buffer;
  kind: number;
  extra: Buffer;
  frames: { plain: Buffer; hash: Buffer; codec: number; stored: Buffer | undefined; claim: number }[];
}

export interface BlobOptions {
  id?: Buffer;
  codec?: number;
  /** Bytes to store instead of the compressed frame. */
  stored?: Buffer;
  /** Length to claim instead of the true one. */
  claim?: number;
  /** More fields of the blob's record. */
  extra?: Buffer;
  /** By the number of a frame: what is taken out of it (first byte, bytes), or all of it. */
  holes?: Readonly<Record<number, 'all' | readonly [number, number][]>>;
}

function holed(plain: Buffer, holes: readonly [number, number][]): Buffer {
  const left = Buffer.from(plain);
  for (const [start, length] of holes) left.fill(0, start, start + length);
  return left;
}

function punchedField(frames: readonly Buffer[], holes: NonNullable<BlobOptions['holes']>): Buffer {
  const parts = Object.entries(holes).map(([number, of]) => {
    if (of === 'all') return cat(varint(Number(number)), varint(0));
    const ranges = of.map(([start, length], i) => {
      const [from = 0, bytes = 0] = of[i - 1] ?? [];
      return cat(varint(start - from - bytes), varint(length));
    });
    const hash = sha(holed(frames[Number(number)] ?? Buffer.alloc(0), of));
    return cat(varint(Number(number)), varint(of.length), ...ranges, hash);
  });
  return parts.length === 0 ? Buffer.alloc(0) : field(11, cat(...parts));
}

export interface WriterOptions {
  secret?: string;
  kdf?: { N: number; r: number; p: number };
  /** The repository's id, to write objects that fit another one's. */
  id?: Buffer;
}

export class Writer {
  readonly directory: string;
  readonly id: Buffer;
  readonly encrypted: boolean;
  private readonly master: Buffer;
  private readonly pending = new Map<Folder, PendingBlob[]>();
  private readonly packs: { name: string; folder: Folder; size: number; record: Buffer }[] = [];

  constructor(directory: string, options: WriterOptions = {}) {
    this.directory = directory;
    this.id = options.id ?? randomBytes(16);
    this.encrypted = options.secret !== undefined;
    this.master = this.encrypted ? randomBytes(32) : sha(Buffer.from('foodsave-backup plain repository'), this.id);
    const repository = this.json(
      {
        format: 'foodsave-backup repository',
        version: 1,
        id: this.id.toString('hex'),
        createdAt: '2026-11-23T00:00:00.000Z',
        hash: 'sha256',
        compression: 'zstd',
        encryption: this.encrypted ? 'aes-256-gcm' : 'none',
      },
      'sha256',
    );
    this.put('repository.json', repository);
    this.put('manifests/repository.json', repository);
    if (options.secret !== undefined) this.key('main', options.secret, options.kdf ?? { N: 16, r: 8, p: 1 });
  }

  put(path: string, bytes: Uint8Array | string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    writeFileSync(join(this.directory, path), bytes);
  }

  /** JSON with its checksum line. */
  json(value: object, algorithm: 'sha256' | 'hmac-sha256'): Buffer {
    const text = JSON.stringify(value, null, 2);
    const body = Buffer.from(`${text.slice(0, -2)},\n`);
    const sum = algorithm === 'sha256' ? sha(body) : createHmac('sha256', this.sub('manifest')).update(body).digest();
    return cat(body, Buffer.from(`  "checksum": "${algorithm}:${sum.toString('hex')}"\n}\n`));
  }

  key(id: string, secret: string, kdf: { N: number; r: number; p: number }, derive = kdf): void {
    const salt = randomBytes(16);
    const nonce = randomBytes(12);
    const { N, r, p } = kdf;
    const kek = scryptSync(Buffer.from(secret.normalize('NFC')), salt, 32, { ...derive, maxmem: 2 ** 30 });
    const cipher = createCipheriv('aes-256-gcm', kek, nonce);
    const salt64 = salt.toString('base64');
    cipher.setAAD(Buffer.from(`foodsave-backup key|${this.id.toString('hex')}|${id}|scrypt|${N}|${r}|${p}|${salt64}`));
    const wrapped = cat(cipher.update(this.master), cipher.final(), cipher.getAuthTag());
    const file = {
      format: 'foodsave-backup key',
      version: 1,
      id,
      createdAt: '2026-11-23T00:00:00.000Z',
      label: 'test',
      kdf: { name: 'scrypt', N, r, p, salt: salt64 },
      nonce: nonce.toString('base64'),
      wrapped: wrapped.toString('base64'),
    };
    this.put(`keys/${id}.json`, this.json(file, 'sha256'));
  }

  /** Adds a blob to the pack of a folder that is being filled, and returns its id. */
  blob(folder: Folder, kind: number, frames: Buffer[], options: BlobOptions = {}): Buffer {
    const { codec = 1, stored } = options;
    const parts = frames.map((plain) => cat(u32(options.claim ?? plain.length), sha(plain)));
    const id = options.id ?? this.hmac('blob id', Buffer.of(kind), ...parts);
    const list = this.pending.get(folder) ?? [];
    const coded = frames.map((plain, i) => {
      const base = { plain, hash: sha(plain), codec, stored, claim: options.claim ?? plain.length };
      const holes = options.holes?.[i];
      if (holes === undefined) return base;
      return holes === 'all' ? { ...base, codec: 0, stored: Buffer.alloc(0) } : { ...base, plain: holed(plain, holes) };
    });
    const extra = cat(options.extra ?? Buffer.alloc(0), punchedField(frames, options.holes ?? {}));
    list.push({ id, kind, extra, frames: coded });
    this.pending.set(folder, list);
    return id;
  }

  /** The page hashes of a pages blob. */
  pageHashes(pages: Buffer, content: Buffer, pageSize: number): Buffer {
    const hashes: Buffer[] = [];
    for (let at = 0; at < content.length; at += pageSize) {
      hashes.push(sha(this.sub('page hash'), content.subarray(at, at + pageSize)).subarray(0, 16));
    }
    return this.blob('meta', 3, [cat(...hashes)], { id: this.hmac('blob id', Buffer.of(3), pages) });
  }

  tree(entries: Buffer[]): Buffer {
    return this.blob('meta', 5, [cat(numberField(1, 0), ...entries.map((entry) => field(3, entry)))]);
  }

  treeIndex(children: [Buffer, string][]): Buffer {
    const coded = children.map(([id, name]) => field(5, cat(id, Buffer.from(name))));
    return this.blob('meta', 5, [cat(numberField(1, 1), ...coded)]);
  }

  extentLeaf(list: Buffer): Buffer {
    return this.blob('meta', 4, [cat(numberField(1, 0), field(3, list))]);
  }

  extentNode(level: number, children: [Buffer, number][]): Buffer {
    const coded = children.map(([id, length]) => field(5, cat(id, varint(length))));
    return this.blob('meta', 4, [cat(numberField(1, level), ...coded)]);
  }

  /** Writes the pack of a folder and returns its path. */
  flush(folder: Folder): string {
    const header = this.header(1, FOLDER_CODES.indexOf(folder));
    const frames: Buffer[] = [];
    const records: Buffer[] = [];
    let number = 0;
    let offset = 64;
    for (const blob of this.pending.get(folder) ?? []) {
      const first = { number, offset };
      const listed = blob.frames.map((frame, i) => {
        const bytes = this.frame(header, blob, i, number);
        frames.push(bytes);
        number += 1;
        offset += bytes.length;
        return cat(varint(frame.claim), varint(bytes.length), Buffer.of(frame.codec), frame.hash);
      });
      records.push(
        cat(
          numberField(1, blob.kind),
          field(3, blob.id),
          numberField(5, first.offset),
          numberField(7, first.number),
          field(9, cat(...listed)),
          field(100, Buffer.from('an even tag from the future')),
          blob.extra,
        ),
      );
    }
    const record = cat(...records.map((entry) => field(1, entry)));
    const nonce = cat(u32(2), Buffer.alloc(8));
    const sealed = this.encrypted
      ? this.gcm(this.objectKey(1, header), nonce, header, record)
      : cat(record, sha(header, record));
    const pack = cat(header, ...frames, sealed, u32(sealed.length), u32(0), Buffer.from('FSBPKEND'));
    const name = sha(pack).toString('hex');
    this.pending.delete(folder);
    this.packs.push({ name, folder, size: pack.length, record });
    this.put(`${folder}/${name}.pack`, pack);
    return `${folder}/${name}.pack`;
  }

  flushAll(): string[] {
    return [...this.pending.keys()].map((folder) => this.flush(folder));
  }

  index(): string {
    const packs = this.packs.map(({ name, folder, size, record }) =>
      field(
        1,
        cat(
          field(1, Buffer.from(name, 'hex')),
          numberField(3, FOLDER_CODES.indexOf(folder)),
          numberField(5, size),
          field(7, record),
        ),
      ),
    );
    const bytes = this.sealed(2, cat(...packs, field(2, sha(Buffer.from('an older index')))));
    const path = `index/${sha(bytes).toString('hex')}.idx`;
    this.put(path, bytes);
    return path;
  }

  manifest(name: string, roots: Record<string, Buffer | undefined>, confirmed = true, version = 1): void {
    const components = Object.fromEntries(
      Object.entries(roots).map(([instance, root]) => [
        instance,
        {
          type: instance,
          driver: 'test',
          status: root ? 'complete' : 'failed',
          ...(root ? { root: root.toString('hex') } : { error: 'it was locked' }),
        },
      ]),
    );
    const status = Object.values(roots).every((root) => root !== undefined) ? 'complete' : 'partial';
    const details = { status, durationMs: 1, trigger: 'manual', tags: [], application: 'test', components };
    const manifest = {
      format: 'foodsave-backup manifest',
      version,
      repositoryId: this.id.toString('hex'),
      name,
      id: 'backup-id',
      createdAt: '2026-11-23T01:00:00.000Z',
      finishedAt: '2026-11-23T01:00:01.000Z',
      files: 1,
      sizeBytes: 1,
      storedBytes: 1,
      components: [],
      private: this.encrypted ? this.sealed(3, Buffer.from(JSON.stringify(details))).toString('base64') : details,
    };
    const bytes = this.json(manifest, this.encrypted ? 'hmac-sha256' : 'sha256');
    this.put(`${name}.json`, bytes);
    if (confirmed) this.put(`manifests/${name}.json`, bytes);
  }

  private frame(header: Buffer, blob: PendingBlob, i: number, number: number): Buffer {
    const { plain, codec, stored, claim } = blob.frames[i]!;
    const bytes = stored ?? (codec === 0 ? plain : zstdCompressSync(plain));
    if (!this.encrypted || bytes.length === 0) return bytes;
    const nonce = cat(u32(1), u32(number), u32(0));
    const additional = cat(blob.id, Buffer.of(blob.kind), u32(i), u32(claim), Buffer.of(codec));
    return this.gcm(this.objectKey(1, header), nonce, additional, bytes);
  }

  private sealed(kind: number, content: Buffer): Buffer {
    const header = this.header(kind, 0);
    const packed = zstdCompressSync(content);
    const raw = packed.length >= content.length;
    const plain = cat(Buffer.of(raw ? 0 : 1), u32(content.length), raw ? content : packed);
    if (!this.encrypted) return cat(header, plain, sha(header, plain));
    return cat(header, this.gcm(this.objectKey(kind, header), Buffer.alloc(12), header, plain));
  }

  private header(kind: number, folder: number): Buffer {
    const salt = this.encrypted ? randomBytes(32) : Buffer.alloc(32);
    const marks = Buffer.of(1, kind, this.encrypted ? 1 : 0, folder, 0, 0, 0, 0);
    return cat(Buffer.from('FSBACKUP'), marks, this.id, salt);
  }

  private gcm(key: Buffer, nonce: Buffer, additional: Buffer, plain: Buffer): Buffer {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(additional);
    return cat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
  }

  private hmac(name: string, ...parts: Buffer[]): Buffer {
    return createHmac('sha256', this.sub(name))
      .update(cat(...parts))
      .digest();
  }

  private sub(name: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.master, this.id, `fsb1 ${name}`, 32));
  }

  private objectKey(kind: number, header: Buffer): Buffer {
    return Buffer.from(hkdfSync('sha256', this.master, header.subarray(32), `fsb1 object ${kind}`, 32));
  }
}

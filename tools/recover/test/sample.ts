import { directoryEntry, extentList, fileEntry, linkEntry } from './encode.ts';
import type { Writer } from './writer.ts';

/** Bytes that look random and are the same each time; half of them compress. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2_654_435_761 + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = i % 2048 < 1024 ? state >>> 24 : 42;
  }
  return bytes;
}

export function cut(bytes: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return parts;
}

const BAD_UTF8 = Buffer.from([0x62, 0xff, 0xfe, 0x2e, 0x74, 0x78, 0x74]);

export interface Sample {
  /** Path (latin1) to content of each file. */
  files: Map<string, Buffer>;
  links: Map<string, string>;
}

/** A backup with everything that the format can say. */
export function writeSample(writer: Writer, name: string): Sample {
  const files = new Map<string, Buffer>();
  const roots = {
    'config:main': writeConfig(writer, files),
    'database:main': writeDatabase(writer, files),
    files: writeFiles(writer, files),
    vector_store: undefined,
  };
  writer.flushAll();
  writer.index();
  writer.manifest(name, roots);
  return {
    files,
    links: new Map([
      ['data/uploads/link', 'many/000.txt'],
      ['data/uploads/outside', '/etc/passwd'],
    ]),
  };
}

/** A database in three pages blobs, with holes, extent nodes of two levels, and a last page that is cut. */
function writeDatabase(writer: Writer, files: Map<string, Buffer>): Buffer {
  const page = 512;
  const pages = [noise(12 * page, 1), noise(7 * page, 2), noise(3 * page, 3)];
  const ids = pages.map((content) => {
    const id = writer.blob('database', 2, cut(content, 5 * page));
    writer.pageHashes(id, content, page);
    return id;
  });
  const [a, b, c] = ids as [Buffer, Buffer, Buffer];
  const first = extentList(
    page,
    [a, b],
    [
      { blob: 0, offset: 0, length: 3 },
      { blob: 1, offset: 2, length: 5 },
      { blob: 0, offset: 3, length: 6 },
      { blob: 'hole', length: 4 },
      { blob: 0, offset: 1, length: 2 },
    ],
  );
  const second = extentList(page, [b], [{ blob: 0, offset: 0, length: 2 }]);
  const third = extentList(page, [c], [{ blob: 0, offset: 0, length: 3 }]);
  const low = writer.extentNode(1, [
    [writer.extentLeaf(first), 20 * page],
    [writer.extentLeaf(second), 2 * page],
  ]);
  const size = 24 * page + 100;
  const node = writer.extentNode(2, [
    [low, 22 * page],
    [writer.extentNode(1, [[writer.extentLeaf(third), 2 * page + 100]]), 2 * page + 100],
  ]);
  const part = (blob: number, from: number, to: number): Buffer => pages[blob]!.subarray(from * page, to * page);
  const parts = [
    part(0, 0, 3),
    part(1, 2, 7),
    part(0, 3, 9),
    Buffer.alloc(4 * page),
    part(0, 1, 3),
    part(1, 0, 2),
    part(2, 0, 3),
  ];
  const content = Buffer.concat(parts).subarray(0, size);
  files.set('data/app.db', content);
  const data = writer.tree([fileEntry('app.db', { content, node, pageSize: page })]);
  return writer.tree([directoryEntry('data', data, { mode: 0o750, mtime: 1_600_000_000_000_000_000n })]);
}

function writeConfig(writer: Writer, files: Map<string, Buffer>): Buffer {
  const content = Buffer.from('colour: green\n');
  const id = writer.blob('config', 1, [content], { codec: 0 });
  const list = extentList(1, [id], [{ blob: 0, length: content.length }]);
  files.set('data/config/app.yaml', content);
  const config = writer.tree([fileEntry('app.yaml', { content, list, mode: 0o600 })]);
  const data = writer.tree([directoryEntry('config', config)]);
  return writer.tree([directoryEntry('data', data, { mode: 0o750, mtime: 1_600_000_000_000_000_000n })]);
}

/** Large, small, sparse, empty, oddly named and read-only files, links, and a directory in two levels of nodes. */
function writeFiles(writer: Writer, files: Map<string, Buffer>): Buffer {
  const large = noise(300_000, 7);
  const chunks = cut(large, 120_000).map((chunk) => writer.blob('files', 1, cut(chunk, 30_000)));
  const largeList = extentList(
    1,
    chunks,
    cut(large, 120_000).map((chunk, blob) => ({ blob, length: chunk.length })),
  );
  files.set('data/uploads/large.bin', large);
  const small = Array.from({ length: 40 }, (_, i) => noise(100 + i, 100 + i));
  const shared = writer.blob('files', 1, cut(Buffer.concat(small), 1000));
  let at = 0;
  const smallEntries = small.map((content, i) => {
    const name = `${String(i).padStart(3, '0')}.txt`;
    files.set(`data/uploads/many/${name}`, content);
    at += content.length;
    const extent = { blob: 0, offset: at - content.length, length: content.length };
    return fileEntry(name, { content, list: extentList(1, [shared], [extent]) });
  });
  const low = writer.treeIndex([
    [writer.tree(smallEntries.slice(0, 15)), '000.txt'],
    [writer.tree(smallEntries.slice(15, 20)), '015.txt'],
  ]);
  const many = writer.treeIndex([
    [low, '000.txt'],
    [writer.tree(smallEntries.slice(20)), '020.txt'],
  ]);
  const one = small[5]!;
  const sparse = Buffer.concat([one, Buffer.alloc(5000), one, Buffer.alloc(70_000)]);
  const offset = small.slice(0, 5).reduce((sum, bytes) => sum + bytes.length, 0);
  const again = { blob: 0, offset, length: one.length };
  const sparseList = extentList(
    1,
    [shared],
    [again, { blob: 'hole', length: 5000 }, again, { blob: 'hole', length: 70_000 }],
  );
  files.set('data/uploads/sparse', sparse);
  files.set('data/uploads/empty', Buffer.alloc(0));
  files.set('data/uploads/set', one);
  const odd = `data/uploads/${BAD_UTF8.toString('latin1')}`;
  files.set(odd, one);
  files.set('data/uploads/locked/file', one);
  const oneList = extentList(1, [shared], [again]);
  const locked = writer.tree([fileEntry('file', { content: one, list: oneList, mode: 0o400 })]);
  const uploads = writer.tree([
    fileEntry(BAD_UTF8, { content: one, list: oneList }),
    fileEntry('empty', { content: Buffer.alloc(0) }),
    fileEntry('large.bin', { content: large, list: largeList, uid: 12_345, gid: 54_321 }),
    linkEntry('link', 'many/000.txt'),
    directoryEntry('locked', locked, { mode: 0o555, mtime: 1_500_000_000_000_000_000n }),
    directoryEntry('many', many),
    linkEntry('outside', '/etc/passwd'),
    fileEntry('set', { content: one, list: oneList, mode: 0o6755 }),
    fileEntry('sparse', { content: sparse, list: sparseList, mtime: -1_250_000_000n }),
  ]);
  const data = writer.tree([directoryEntry('uploads', uploads)]);
  return writer.tree([directoryEntry('data', data, { mode: 0o750, mtime: 1_600_000_000_000_000_000n })]);
}

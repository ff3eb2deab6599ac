import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildInto, execute, scratch, snapshot, type Result } from './harness.ts';
import { directoryEntry, extentList, fileEntry, linkEntry, numberField, varint, zigzag } from './encode.ts';
import { Writer } from './writer.ts';

const root = scratch();
const TEXT = Buffer.from('content');
let program = '';
let number = 0;

beforeAll(() => {
  program = buildInto(join(root, 'dist'));
});

interface Attempt extends Result {
  target: string;
  names: string[];
  verified: Result;
}

/** Writes a repository whose trees are made by `make`, and runs verify and restore. */
function attempt(make: (writer: Writer, list: Buffer) => Record<string, Buffer>, secret?: string): Attempt {
  number += 1;
  const directory = join(root, `hostile-${number}`);
  const writer = new Writer(directory, secret === undefined ? {} : { secret });
  const id = writer.blob('files', 1, [TEXT]);
  const roots = make(writer, extentList(1, [id], [{ blob: 0, length: TEXT.length }]));
  writer.flushAll();
  writer.index();
  writer.manifest('b', roots);
  const env: Record<string, string> = secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret };
  const target = join(root, `target-${number}`, 'inner');
  const verified = execute(program, ['verify', 'b', '--repository', directory], { env });
  const restored = execute(program, ['restore', 'b', target, '--repository', directory], { env });
  expect(restored.err).not.toContain('    at ');
  expect(restored.err).not.toContain('--verbose');
  if (existsSync(join(root, `target-${number}`)))
    expect(readdirSync(join(root, `target-${number}`))).toEqual(['inner']);
  const names = existsSync(target) ? [...snapshot(target).files.keys()].sort() : [];
  return { ...restored, target, names, verified };
}

const good = (name: Buffer | string, list: Buffer): Buffer => fileEntry(name, { content: TEXT, list });

describe('a tree that was made to do harm', () => {
  test.each(['..', '.', '', '../x', '/etc/x', 'a/b', 'a\0b'])('the name %j is left out, the rest restored', (name) => {
    const { code, err, names, verified } = attempt((writer, list) => ({
      files: writer.tree([good(name, list), good('z', list)]),
    }));
    expect(code).toBe(1);
    expect(verified.code).toBe(1);
    expect(err).toContain('unsafe name');
    expect(names).toEqual(['z']);
  });

  test('a directory named ".." leads nowhere', () => {
    const { code, names } = attempt((writer, list) => ({
      files: writer.tree([directoryEntry('..', writer.tree([good('escaped', list)]))]),
    }));
    expect(code).toBe(1);
    expect(names).toEqual([]);
  });

  test('a name that occurs twice is left out the second time', () => {
    const { code, err, names } = attempt((writer, list) => ({
      files: writer.tree([good('a', list), good('a', list), good('b', list)]),
    }));
    expect(code).toBe(1);
    expect(err).toContain('occurs twice');
    expect(names).toEqual(['a', 'b']);
  });

  test('nothing is written through a link, in one tree or from one component to another', () => {
    const outside = join(root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'victim'), 'untouched');
    const { code, names, err } = attempt((writer, list) => ({
      one: writer.tree([
        linkEntry('dir', outside),
        directoryEntry('dir', writer.tree([good('inner', list)])),
        linkEntry('file', join(outside, 'victim')),
      ]),
      two: writer.tree([directoryEntry('dir', writer.tree([good('new', list)])), good('file', list)]),
    }));
    expect(code).toBe(1);
    expect(err).toContain('another entry of the backup has this name');
    expect(readdirSync(outside)).toEqual(['victim']);
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('untouched');
    expect(names).toEqual(['file.from-two']);
  });

  test('two components with the same file are no conflict, with different ones both are kept', () => {
    const { code, names, target } = attempt((writer, list) => {
      const other = Buffer.from('other');
      const otherList = extentList(1, [writer.blob('files', 1, [other])], [{ blob: 0, length: 5 }]);
      return {
        one: writer.tree([good('different', list), good('same', list)]),
        two: writer.tree([fileEntry('different', { content: other, list: otherList }), good('same', list)]),
      };
    });
    expect(code).toBe(1);
    expect(names).toEqual(['different', 'different.from-two', 'same']);
    expect(readFileSync(join(target, 'different.from-two'), 'utf8')).toBe('other');
  });

  test('names cannot command the terminal', () => {
    const { err, out } = attempt((writer, list) => ({
      files: writer.tree([fileEntry('\u001b[2J\u202egnp', { content: Buffer.from('CONTENT'), list })]),
    }));
    expect(err).toContain('\\x1b[2J\\x202egnp');
    expect(err + out).not.toContain('\u001b');
  });

  test('a file whose bytes are not what its SHA-256 says is never given its name', () => {
    const { code, names, err, verified } = attempt((writer, list) => ({
      files: writer.tree([fileEntry('a', { content: Buffer.from('CONTENT'), list })]),
    }));
    expect(code).toBe(1);
    expect(names).toEqual(['a.damaged']);
    expect(err).toContain('not what was backed up');
    expect(verified.out).toContain('DAMAGED');
  });

  test.each([
    [
      'longer than the file',
      [
        { blob: 0, length: 7 },
        { blob: 0, offset: 0, length: 1 },
      ],
    ],
    ['shorter than the file', [{ blob: 0, length: 6 }]],
    ['shorter than the file', [{ blob: 0, offset: 1, length: 7 }]],
    ['beyond the limits', [{ blob: 0, offset: -1, length: 7 }]],
    ['longer than the file', [{ blob: 'hole' as const, length: 8 }]],
  ])('extents that are %s: %j', (message, extents) => {
    const { code, err, verified } = attempt((writer) => {
      const list = extentList(1, [writer.blob('files', 1, [TEXT])], extents);
      return { files: writer.tree([good('a', list)]) };
    });
    expect(code).toBe(1);
    expect(verified.code).toBe(1);
    expect(err).toContain(message);
  });

  test('a list that claims 2^60 blobs or extents costs nothing', () => {
    const many = 2n ** 60n;
    const blobs = Buffer.concat([varint(1), varint(many)]);
    const extents = Buffer.concat([varint(1), varint(0), varint(2 ** 50), zigzag(0)]);
    const { code, verified } = attempt((writer) => ({
      files: writer.tree([good('a', blobs), good('b', extents)]),
    }));
    expect(code).toBe(1);
    expect(verified.code).toBe(1);
  });

  test('an unknown odd field refuses its entry only, an unknown even one is skipped', () => {
    const { code, names, err } = attempt((writer, list) => ({
      files: writer.tree([
        Buffer.concat([good('even', list), numberField(1000, 1)]),
        Buffer.concat([good('odd', list), numberField(1001, 1)]),
        good('plain', list),
      ]),
    }));
    expect(code).toBe(1);
    expect(err).toContain('field 1001, which only newer software understands');
    expect(names).toEqual(['even', 'plain']);
  });

  test('extent nodes and tree nodes cannot be nested beyond their levels', () => {
    const { code, err, names } = attempt((writer, list) => {
      let node = writer.extentLeaf(list);
      for (let level = 1; level <= 9; level++) node = writer.extentNode(level, [[node, TEXT.length]]);
      let tree = writer.tree([good('x', list)]);
      for (let level = 1; level <= 9; level++) tree = writer.treeIndex([[tree, 'x']]);
      return {
        files: writer.tree([fileEntry('a', { content: TEXT, node }), directoryEntry('b', tree), good('c', list)]),
      };
    });
    expect(code).toBe(1);
    expect(err).toContain('a level that does not belong here');
    expect(err).toContain('more levels than the format allows');
    expect(names).toEqual(['c']);
  });

  test('a blob of another kind is not content', () => {
    const { code, err } = attempt((writer) => {
      const node = writer.tree([]);
      return { files: writer.tree([good('a', extentList(1, [node], [{ blob: 0, length: TEXT.length }]))]) };
    });
    expect(code).toBe(1);
    expect(err).toContain('does not belong here');
  });
});

describe.each([undefined, 'secret'])('bombs (secret: %s)', (secret) => {
  test('a frame that decompresses to more than it claims is refused', () => {
    const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
    const { code, err, names } = attempt((writer, list) => {
      const id = writer.blob('files', 1, [TEXT], { stored: bomb });
      const bad = extentList(1, [id], [{ blob: 0, length: TEXT.length }]);
      const other = Buffer.from('other kind');
      const otherId = writer.blob('config', 1, [other], { stored: bomb });
      const otherList = extentList(1, [otherId], [{ blob: 0, length: other.length }]);
      return {
        files: writer.tree([good('a', bad), fileEntry('b', { content: other, list: otherList }), good('c', list)]),
      };
    }, secret);
    expect(code).toBe(1);
    expect(err).toContain('cannot be decompressed to its length');
    // The good copy of the same blob, which lies in the same pack, serves a and c.
    expect(names).toEqual(['a', 'c']);
  });

  test('frames and blobs beyond the limits are refused before they are read', () => {
    const { code, err } = attempt((writer) => {
      const large = writer.blob('files', 1, [TEXT], { claim: 4 * 1024 * 1024 + 1 });
      const many = writer.blob(
        'custom',
        1,
        Array.from({ length: 4097 }, () => Buffer.of(1)),
        { codec: 0 },
      );
      return {
        files: writer.tree([
          good('a', extentList(1, [large], [{ blob: 0, length: 7 }])),
          good('b', extentList(1, [many], [{ blob: 0, length: 7 }])),
        ]),
      };
    }, secret);
    expect(code).toBe(1);
    expect(err.match(/beyond the limits/g)?.length).toBeGreaterThanOrEqual(2);
  });
});

describe('keys and versions', () => {
  test.each([
    { N: 2 ** 30, r: 8, p: 1 },
    { N: 2, r: 2 ** 40, p: 1 },
    { N: 2 ** 14, r: 8, p: 17 },
    { N: 3, r: 8, p: 1 },
    { N: 0, r: 8, p: 1 },
  ])('scrypt with %j is refused', (kdf) => {
    number += 1;
    const directory = join(root, `kdf-${number}`);
    const writer = new Writer(directory, { secret: 'secret' });
    writer.key('main', 'secret', kdf, { N: 16, r: 8, p: 1 });
    const { code, err } = execute(program, ['list', '--repository', directory], {
      env: { BACKUP_ENCRYPTION_KEY: 'secret' },
    });
    expect(code).toBe(1);
    expect(err).toMatch(/more memory or time than the format allows|is damaged \(kdf\)/);
  });

  test('an encrypted repository accepts nothing that is not encrypted', () => {
    const directory = join(root, 'mixed');
    const id = Buffer.alloc(16, 7);
    const writer = new Writer(directory, { secret: 'secret', id });
    writer.manifest('real', { files: writer.tree([]) });
    writer.flushAll();
    const forged = new Writer(join(root, 'forged'), { id });
    const text = forged.blob('files', 1, [TEXT]);
    const tree = forged.tree([good('a', extentList(1, [text], [{ blob: 0, length: TEXT.length }]))]);
    forged.manifest('forged', { files: tree });
    for (const path of [...forged.flushAll(), forged.index(), 'forged.json', 'manifests/forged.json']) {
      writer.put(path, readFileSync(join(root, 'forged', path)));
    }
    const env = { BACKUP_ENCRYPTION_KEY: 'secret' };
    const { code, err } = execute(
      program,
      ['restore', 'forged', join(root, 'forged-target'), '--repository', directory],
      { env },
    );
    expect(code).toBe(1);
    expect(err).toContain('its checksum is of the wrong kind');
    expect(execute(program, ['list', '--repository', directory], { env }).out).toMatch(/forged .*damaged/);
  });

  test('a newer repository, manifest or index is refused in clear words', () => {
    const directory = join(root, 'newer');
    const writer = new Writer(directory, { id: Buffer.alloc(16, 1) });
    writer.manifest('b', { files: writer.tree([]) }, true, 2);
    const manifest = execute(program, ['verify', 'b', '--repository', directory]);
    expect(manifest).toMatchObject({ code: 1 });
    expect(manifest.err).toContain('format version 2; this recover.mjs understands version 1');
    const text = readFileSync(join(directory, 'repository.json'), 'utf8');
    const value = { ...(JSON.parse(text) as object), version: 2, checksum: undefined };
    writer.put('repository.json', writer.json(JSON.parse(JSON.stringify(value)) as object, 'sha256'));
    const repository = execute(program, ['list', '--repository', directory]);
    expect(repository).toMatchObject({ code: 1 });
    expect(repository.err).toContain('written by newer software');
  });

  test('a blob with an odd field that is not known is refused, the others of its pack are not', () => {
    const { code, names, err } = attempt((writer, list) => {
      const other = Buffer.from('from later');
      const later = writer.blob('files', 1, [other], { extra: numberField(13, 1) });
      const otherList = extentList(1, [later], [{ blob: 0, length: other.length }]);
      return { files: writer.tree([good('a', list), fileEntry('b', { content: other, list: otherList })]) };
    });
    expect({ code, names }).toEqual({ code: 1, names: ['a'] });
    expect(err).toContain('field 13, which only newer software understands');
  });
});

import { createHash } from 'node:crypto';
import { lstatSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildInto, execute, scratch, type Result } from './harness.ts';
import { directoryEntry, extentList, fileEntry, pipeEntry, type FileSpec } from './encode.ts';
import { Writer } from './writer.ts';

const root = scratch();
const TEXT = Buffer.from('content');
let program = '';
let number = 0;

beforeAll(() => {
  program = buildInto(join(root, 'dist'));
});

/** Writes a repository whose tree is made by `make`, and restores it. */
function restored(make: (writer: Writer, spec: FileSpec) => Buffer): Result & { target: string; verified: Result } {
  number += 1;
  const directory = join(root, `repository-${number}`);
  const writer = new Writer(directory);
  const id = writer.blob('files', 1, [TEXT]);
  const list = extentList(1, [id], [{ blob: 0, length: TEXT.length }]);
  const files = make(writer, { content: TEXT, list });
  writer.flushAll();
  writer.index();
  writer.manifest('b', { files });
  const target = join(root, `target-${number}`);
  const verified = execute(program, ['verify', 'b', '--repository', directory]);
  return { ...execute(program, ['restore', 'b', target, '--repository', directory]), target, verified };
}

describe('names of one file', () => {
  const link = Buffer.from('one file');

  test('are one file again', () => {
    const { code, out, target } = restored((writer, spec) =>
      writer.tree([
        fileEntry('a', { ...spec, link }),
        directoryEntry('d', writer.tree([fileEntry('b', { ...spec, link })])),
        fileEntry('z', { ...spec, link: Buffer.from('another') }),
      ]),
    );
    expect(code).toBe(0);
    expect(out).toContain('3 files');
    const [a, b, z] = ['a', 'd/b', 'z'].map((name) => lstatSync(join(target, name)));
    expect(b?.ino).toBe(a?.ino);
    expect([a?.nlink, z?.nlink]).toEqual([2, 1]);
  });

  test('with other contents or modes are files of their own, whatever they claim', () => {
    const { code, target } = restored((writer, spec) => {
      const other = Buffer.from('another content');
      const id = writer.blob('files', 1, [other]);
      const list = extentList(1, [id], [{ blob: 0, length: other.length }]);
      return writer.tree([
        fileEntry('a', { ...spec, link }),
        fileEntry('b', { content: other, list, link }),
        fileEntry('c', { ...spec, link, mode: 0o600 }),
      ]);
    });
    expect(code).toBe(0);
    for (const name of ['a', 'b', 'c']) expect(lstatSync(join(target, name)).nlink).toBe(1);
    expect(readFileSync(join(target, 'b'), 'utf8')).toBe('another content');
  });
});

describe('what Node.js cannot make', () => {
  test('is listed, and is no damage', () => {
    const { code, err, target, verified } = restored((writer, spec) =>
      writer.tree([
        fileEntry('a', {
          ...spec,
          xattrs: [
            ['system.posix_acl_access', Buffer.of(2)],
            ['user.note', Buffer.of(1)],
          ],
        }),
        fileEntry('b', { ...spec, xattrs: [['user.note', Buffer.of(1)]] }),
        directoryEntry('d', writer.tree([pipeEntry('pipe')])),
        pipeEntry('pipe'),
      ]),
    );
    expect({ code, verified: verified.code }).toEqual({ code: 0, verified: 0 });
    expect(err).toContain('extended attribute user.note was not set on 2 entries');
    expect(err).toContain('extended attribute system.posix_acl_access was not set on 1 entry');
    expect(err).toContain('2 named pipes were left out');
    expect(readdirSync(target).sort()).toEqual(['a', 'b', 'd']);
  });

  test('attributes of any name are listed', () => {
    const { code, err, target } = restored((writer, spec) =>
      writer.tree([fileEntry('a', { ...spec, xattrs: [['x'.repeat(200), Buffer.alloc(70)]] }), fileEntry('b', spec)]),
    );
    expect(code).toBe(0);
    expect(err).toContain('extended attribute xxx');
    expect(readdirSync(target).sort()).toEqual(['a', 'b']);
  });
});

describe('a file of 100 GB that is nearly all holes', () => {
  const SIZE = 100_000_000_000;
  const MIB = 1024 * 1024;
  const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

  /** The hash by blocks of zeros with TEXT at the beginning. */
  function blockHash(): Buffer {
    const zero = sha(Buffer.alloc(MIB));
    const outer = createHash('sha256').update(sha(TEXT, Buffer.alloc(MIB - TEXT.length)));
    for (let block = 1; block < Math.floor(SIZE / MIB); block++) outer.update(zero);
    return outer.update(sha(Buffer.alloc(SIZE % MIB))).digest();
  }

  const make =
    (hash: Buffer) =>
    (writer: Writer, spec: FileSpec): Buffer => {
      const id = writer.blob('files', 1, [TEXT]);
      const list = extentList(
        1,
        [id],
        [
          { blob: 0, length: TEXT.length },
          { blob: 'hole', length: SIZE - TEXT.length },
        ],
      );
      return writer.tree([fileEntry('disk.img', { ...spec, list, size: SIZE, blockHash: hash })]);
    };

  test('is verified and restored for next to nothing', () => {
    const { code, target, verified } = restored(make(blockHash()));
    expect({ code, verified: verified.code }).toEqual({ code: 0, verified: 0 });
    const stats = lstatSync(join(target, 'disk.img'));
    expect(stats.size).toBe(SIZE);
    expect(stats.blocks * 512).toBeLessThan(100_000);
    const begin = Buffer.alloc(TEXT.length + 1);
    readSync(openSync(join(target, 'disk.img'), 'r'), begin, 0, begin.length, 0);
    expect(begin).toEqual(Buffer.concat([TEXT, Buffer.of(0)]));
  });

  test('with another hash is damaged', () => {
    const { code, verified, err } = restored(make(Buffer.alloc(32, 1)));
    expect({ code, verified: verified.code }).toEqual({ code: 1, verified: 1 });
    expect(err).toContain('its content is not what was backed up');
  });
});

test('paths beyond what Linux takes at once are restored', () => {
  const name = 'n'.repeat(200);
  const { code, err, target } = restored((writer, spec) => {
    const link = Buffer.from('far away');
    let node = writer.tree([fileEntry('treasure', { ...spec, link })]);
    for (let depth = 0; depth < 40; depth++) node = writer.tree([directoryEntry(name, node, { mode: 0o750 })]);
    return node;
  });
  expect(code, err).toBe(0);
  writeFileSync(join(root, 'look.sh'), `set -e; cd ${target}; for i in $(seq 40); do cd ${name}; done; cat treasure\n`);
  expect(execFileSync('bash', [join(root, 'look.sh')], { encoding: 'utf8' })).toBe('content');
  execFileSync('rm', ['-rf', target]);
});

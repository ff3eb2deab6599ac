import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runHere, scratch } from './harness.ts';
import { cut, noise } from './sample.ts';
import { extentList, field, fileEntry, varint } from './encode.ts';
import { Writer, type BlobOptions } from './writer.ts';

const root = scratch();
const PAGE = 512;
const pages = noise(8 * PAGE, 1);
const small = noise(3000, 2);
/** Of the pages, 2 and 7 are left; of the small files the one from byte 1,000 to 1,500. */
const PAGES_LEFT: BlobOptions = { holes: { 0: 'all', 1: [[512, 512]], 2: 'all', 3: [[0, 512]] } };
const SMALL_LEFT: BlobOptions = {
  holes: {
    0: [
      [0, 1000],
      [1500, 500],
    ],
    1: 'all',
  },
};

interface Made {
  directory: string;
  env: Record<string, string>;
}

/** What needs only what is left, and what needs more. `whole`: also a pack with all of it. */
function make(name: string, secret: string | undefined, whole: boolean): Made {
  const directory = join(root, name);
  const writer = new Writer(directory, secret === undefined ? {} : { secret });
  const database = writer.blob('database', 2, cut(pages, 1024), PAGES_LEFT);
  writer.pageHashes(database, pages, PAGE);
  const data = writer.blob('files', 1, cut(small, 2000), SMALL_LEFT);
  writer.flushAll();
  if (whole) {
    writer.blob('database', 2, cut(pages, 1024));
    writer.blob('files', 1, cut(small, 2000));
  }
  const list = (blob: Buffer, offset: number, length: number, unit = 1): Buffer =>
    extentList(unit, [blob], [{ blob: 0, offset, length }]);
  const kept = [
    fileEntry('a.db', {
      content: pages.subarray(2 * PAGE, 3 * PAGE),
      list: list(database, 2, 1, PAGE),
      pageSize: PAGE,
    }),
    fileEntry('b.db', { content: pages.subarray(7 * PAGE), list: list(database, 7, 1, PAGE), pageSize: PAGE }),
    fileEntry('c.txt', { content: small.subarray(1000, 1500), list: list(data, 1000, 500) }),
  ];
  const gone = [
    fileEntry('d.db', { content: pages.subarray(0, 3 * PAGE), list: list(database, 0, 3, PAGE), pageSize: PAGE }),
    fileEntry('e.txt', { content: small.subarray(1400, 2500), list: list(data, 1400, 1100) }),
  ];
  const [left, all] = [writer.tree(kept), writer.tree([...kept, ...gone])];
  writer.flushAll();
  writer.index();
  writer.manifest('left', { files: left });
  writer.manifest('all', { files: all });
  return { directory, env: secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret } };
}

describe.each([
  ['plain', undefined],
  ['encrypted', 'secret'],
])('punched blobs (%s)', (kind, secret) => {
  test('give what is left of them, and verify finds nothing wrong', async () => {
    const { directory, env } = make(`${kind}-left`, secret, false);
    const verified = await runHere(['verify', 'left', '--repository', directory], env);
    expect(verified, verified.err).toMatchObject({ code: 0 });
    const target = join(root, `${kind}-target`);
    expect(await runHere(['restore', 'left', target, '--repository', directory], env)).toMatchObject({ code: 0 });
    expect(readFileSync(join(target, 'a.db')).equals(pages.subarray(2 * PAGE, 3 * PAGE))).toBe(true);
    expect(readFileSync(join(target, 'b.db')).equals(pages.subarray(7 * PAGE))).toBe(true);
    expect(readFileSync(join(target, 'c.txt')).equals(small.subarray(1000, 1500))).toBe(true);
  });

  test('never give zeros for what is gone: those files are named', async () => {
    const { directory, env } = make(`${kind}-gone`, secret, false);
    const { code, out, err } = await runHere(['verify', 'all', '--repository', directory], env);
    expect(code).toBe(1);
    for (const name of ['d.db', 'e.txt']) expect(out + err).toContain(name);
    for (const name of ['a.db', 'b.db', 'c.txt']) expect(out + err).not.toContain(name);
    expect(out + err).toContain('was taken out');
  });

  test('are completed from another pack that has the rest', async () => {
    const { directory, env } = make(`${kind}-whole`, secret, true);
    const verified = await runHere(['verify', 'all', '--repository', directory], env);
    expect(verified, verified.out + verified.err).toMatchObject({ code: 0 });
  });
});

test.each<[string, Buffer]>([
  ['without any', Buffer.alloc(0)],
  ['beyond the frame', Buffer.concat([varint(0), varint(1), varint(0), varint(600), Buffer.alloc(32)])],
  ['that touch', Buffer.concat([...[0, 2, 0, 10, 0, 10].map(varint), Buffer.alloc(32)])],
  ['that are empty', Buffer.concat([...[0, 1, 10, 0].map(varint), Buffer.alloc(32)])],
  ['of all of a frame that is stored', Buffer.concat([varint(0), varint(0)])],
  ['in a frame that is not there', Buffer.concat([...[1, 1, 0, 10].map(varint), Buffer.alloc(32)])],
  ['without a hash', Buffer.concat([0, 1, 0, 10].map(varint))],
])('a list of holes %s is damage', async (name, value) => {
  const directory = join(root, name.replaceAll(' ', '-'));
  const writer = new Writer(directory);
  const content = noise(PAGE, 3);
  const blob = writer.blob('files', 1, [content], { extra: field(11, value) });
  const list = extentList(1, [blob], [{ blob: 0, offset: 0, length: PAGE }]);
  const tree = writer.tree([fileEntry('a', { content, list })]);
  writer.flushAll();
  writer.index();
  writer.manifest('one', { files: tree });
  expect(await runHere(['verify', 'one', '--repository', directory])).toMatchObject({ code: 1 });
});

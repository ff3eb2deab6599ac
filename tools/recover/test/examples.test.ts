import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Blobs } from '../src/blobs.ts';
import { readExtents } from '../src/extents.ts';
import { makeKeys, OBJECT, plainKeys, readHeader, type Keys } from '../src/sealed.ts';

// The examples of the format's description are read by this second implementation too.
const FORMAT = readFileSync(new URL('../../../libs/format/FORMAT.md', import.meta.url), 'utf8');
const REPOSITORY = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const MASTER = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x20 + i));

function example(name: string): Buffer {
  const block = new RegExp(`\`\`\`hex name=${name}\\n([^\`]*)\`\`\``).exec(FORMAT)?.[1];
  if (block === undefined) throw new Error(`FORMAT.md has no example ${name}`);
  return Buffer.from(block.replace(/#.*/g, '').replace(/\s+/g, ''), 'hex');
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'recover-examples-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const KINDS: [string, Keys][] = [
  ['plain', plainKeys(REPOSITORY)],
  ['encrypted', makeKeys(REPOSITORY, true, MASTER)],
];

it.each(KINDS)('the example pack, %s, gives its blobs', (kind, keys) => {
  const pack = example(`pack-${kind}`);
  const name = createHash('sha256').update(pack).digest('hex');
  const row = FORMAT.split('\n').find((line) => line.startsWith(`| \`pack-${kind}\``)) ?? '';
  const [written, first, second] = [...row.matchAll(/`([0-9a-f]{64})`/g)].map((match) => match[1] ?? '');
  expect(written).toBe(name);
  mkdirSync(join(directory, 'files'));
  writeFileSync(join(directory, 'files', `${name}.pack`), pack);
  const blobs = new Blobs(directory, keys, () => undefined);
  const content = (id: string | undefined): string => blobs.whole(Buffer.from(id ?? '', 'hex'), 1).toString();
  expect(content(first)).toBe('Hello, backup!');
  expect(content(second)).toBe(`${'a'.repeat(100)}the rest`);
  blobs.packs.check(name);
  blobs.packs.close();
});

it('the example headers say what they are', () => {
  const [[, plain], [, encrypted]] = KINDS as [[string, Keys], [string, Keys]];
  expect(readHeader(example('header-plain'), OBJECT.index, plain, 'it')).toMatchObject({ folder: 0 });
  expect(readHeader(example('header-encrypted'), OBJECT.pack, encrypted, 'it')).toMatchObject({ folder: 2 });
});

it('the example extent list has a hole of 200 pages', () => {
  const extents = [...readExtents(example('extents'))].map(({ blob, offset, length }) => [
    blob?.toString('hex', 0, 1),
    offset / 4096,
    length / 4096,
  ]);
  expect(extents).toEqual([
    ['aa', 0, 3],
    [undefined, 0, 200],
    ['bb', 7, 1],
    ['aa', 5, 2],
  ]);
});

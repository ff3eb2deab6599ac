import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeExtents } from './extents.ts';
import { HEADER_BYTES, OBJECT_KIND, readHeader } from './header.ts';
import { decodeIndex } from './index-file.ts';
import { decodeManifest } from './manifest.ts';
import { FOOTER_BYTES, openDirectory, openFrame, packKey, readFooter } from './pack.ts';
import { openObject, sha256 } from './seal.ts';
import {
  ENTRIES,
  exampleBytes,
  exampleIndex,
  exampleManifest,
  EXTENTS,
  HELLO,
  KEYS,
  MANIFEST,
  NOTE,
  REPEATED,
  REST,
  SALT,
  withExamples,
} from './testing/examples.ts';
import { decodeTreeNode } from './tree.ts';

const text = readFileSync(new URL('../FORMAT.md', import.meta.url), 'utf8');

/** The fenced blocks of FORMAT.md that have a name. */
const blocks = new Map(
  [...text.matchAll(/^```(hex|json) name=(\S+)\n(.*?)^```$/gms)].map(([, kind, name, body = '']) => [
    name ?? '',
    kind === 'hex' ? Buffer.from(body.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex') : Buffer.from(body, 'utf8'),
  ]),
);
const block = (name: string): Buffer => {
  const bytes = blocks.get(name);
  if (bytes === undefined) throw new Error(`FORMAT.md has no block ${name}`);
  return bytes;
};
const BOTH = ['plain', 'encrypted'] as const;

describe('the examples of FORMAT.md', () => {
  it('are what the generator writes', () => expect(withExamples(text)).toBe(text));

  it('are what this library writes', () => {
    const expected = exampleBytes();
    expect([...blocks.keys()].sort()).toEqual([...Object.keys(expected), 'manifest-plain'].sort());
    for (const [name, bytes] of Object.entries(expected)) expect(block(name).equals(bytes), name).toBe(true);
    expect(block('manifest-plain').toString('utf8')).toBe(exampleManifest());
  });

  it('have headers that decode', () => {
    expect(readHeader(KEYS.plain, block('header-plain'), OBJECT_KIND.index)).toMatchObject({
      folder: 'meta',
      salt: Buffer.alloc(32),
    });
    expect(readHeader(KEYS.encrypted, block('header-encrypted'), OBJECT_KIND.pack)).toMatchObject({
      folder: 'files',
      salt: SALT,
    });
  });

  it.each(BOTH)('have a %s note that opens', (which) => {
    expect(Buffer.from(openObject(KEYS[which], OBJECT_KIND.note, block(`note-${which}`)))).toEqual(NOTE);
  });

  it.each(BOTH)('have a %s pack that holds what the table says', (which) => {
    const bytes = block(`pack-${which}`);
    const header = bytes.subarray(0, HEADER_BYTES);
    const place = readFooter(bytes.subarray(bytes.length - FOOTER_BYTES), bytes.length);
    const sealed = bytes.subarray(place.offset, place.offset + place.length);
    const { blobs } = openDirectory(KEYS[which], header, sealed, bytes.length);
    const contents = blobs.map((blob) => {
      let at = blob.offset;
      return blob.frames.map(({ stored }, i) => {
        at += stored;
        return Buffer.from(openFrame(packKey(KEYS[which], header), blob, i, bytes.subarray(at - stored, at)));
      });
    });
    expect(contents).toEqual([[HELLO], [REPEATED, REST]]);
    const ids = blobs.map(({ id }) => `\`${id.toString('hex')}\``).join(', ');
    expect(text).toContain(`| \`pack-${which}\` | \`${sha256(bytes).toString('hex')}\` | ${ids} |`);
  });

  it('have an extent list, a tree leaf, an index and a manifest that decode', () => {
    expect(decodeExtents(block('extents'))).toEqual(EXTENTS);
    expect(decodeTreeNode(block('tree-leaf'))).toEqual({ leaf: true, entries: ENTRIES });
    expect(decodeIndex(block('index'))).toEqual({ packs: [exampleIndex()], replaces: [Buffer.alloc(32, 0xee)] });
    expect(decodeManifest(KEYS.plain, block('manifest-plain'))).toEqual(MANIFEST);
  });
});

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareLayoutPaths } from '@foodsave-backup/component';
import {
  Archive,
  RESERVED_FOLDER,
  writeArchive,
  type ArchiveFormat,
  type ArchiveSource,
  type EntryRecord,
} from './index.ts';
import { META, piecesOf, sourceOf, writeSample, type SampleEntry } from './testing/sample.ts';

const FORMATS: readonly ArchiveFormat[] = ['zip', 'tar.gz'];
const signal = new AbortController().signal;

let temp: TempDir;
beforeAll(async () => {
  temp = await tempDir('foodsave-archive-');
});
afterAll(async () => {
  await temp.cleanup();
});

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const noise = (length: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(length / 32) }, (_, i) => createHash('sha256').update(String(i)).digest()),
  ).subarray(0, length);

const SMALL: readonly SampleEntry[] = [
  { path: 'data' },
  { path: 'data/a.txt', content: bytes('hello\n') },
  { path: 'data/empty', content: new Uint8Array() },
  { path: 'data/link', target: 'a.txt' },
  { path: 'data/ogórek – 黄瓜 🥒.txt', content: bytes('unicode\n') },
  { path: 'data/sub' },
  { path: 'data/sub/photo.bin', content: noise(200_000) },
  { path: 'data/sub/zeros', content: new Uint8Array(300_000) },
];

/** The same with more than a small archive holds, and a file that is streamed. */
const LARGE: readonly SampleEntry[] = [
  ...SMALL,
  { path: 'data/sub/zz-large', content: noise(3_000_000) },
  { path: 'data/sub/zz-sparse', content: new Uint8Array(15_000_000) },
];

interface Seen {
  record: EntryRecord;
  sha256?: string;
}

async function readAll(file: string): Promise<Seen[]> {
  const archive = await Archive.open(file, { signal });
  const seen: Seen[] = [];
  for await (const { record, content } of archive.entries()) {
    if (content === undefined) {
      seen.push({ record });
      continue;
    }
    const hash = createHash('sha256');
    for await (const piece of content) hash.update(piece);
    seen.push({ record, sha256: hash.digest('hex') });
  }
  return seen;
}

function expectAll(seen: readonly Seen[], entries: readonly SampleEntry[]): void {
  expect(seen.map(({ record }) => record.path)).toEqual(entries.map(({ path }) => path));
  for (const [i, { record, sha256 }] of seen.entries()) {
    const { content, target } = entries[i] as SampleEntry;
    expect(record.in).toEqual(entries[i]?.in ?? { files: META });
    expect(record.target).toBe(target);
    expect(sha256).toBe(content === undefined ? undefined : createHash('sha256').update(content).digest('hex'));
  }
}

/** As a person would. */
function extract(file: string, format: ArchiveFormat, to: string): void {
  mkdirSync(to);
  if (format === 'zip') execFileSync('unzip', ['-q', file, '-d', to]);
  else execFileSync('tar', ['xzf', file, '-C', to]);
}

describe.each(FORMATS)('%s', (format) => {
  it.each([
    ['small', SMALL],
    ['large', LARGE],
  ])('a %s archive comes back as it was written', async (name, entries) => {
    const file = temp.join(`${name}.${format}`);
    const totals = await writeSample(file, format, entries);
    const files = entries.filter((entry) => entry.content !== undefined);
    expect(totals).toEqual({
      entries: entries.length,
      files: files.length,
      sizeBytes: files.reduce((sum, { content }) => sum + (content?.length ?? 0), 0),
    });
    expectAll(await readAll(file), entries);
  });

  it.each([
    ['small', SMALL],
    ['large', LARGE],
  ])('a %s archive opens with the tools that everybody has', (name, entries) => {
    const file = temp.join(`${name}.${format}`);
    if (format === 'zip') {
      expect(execFileSync('unzip', ['-t', file]).toString()).toContain('No errors detected');
      execFileSync('zip', ['-T', file]);
      const script =
        'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.namelist()))';
      expect(execFileSync('python3', ['-c', script, file]).toString().trim()).toBe(String(entries.length + 4));
    } else {
      expect(execFileSync('tar', ['tzf', file]).toString().trim().split('\n')).toHaveLength(entries.length + 4);
      execFileSync('gzip', ['-t', file]);
      const script = 'import sys,tarfile; t=tarfile.open(sys.argv[1]); print(len(t.getmembers()))';
      expect(execFileSync('python3', ['-c', script, file]).toString().trim()).toBe(String(entries.length + 4));
    }
    const to = temp.join(`${name}-${format}`);
    extract(file, format, to);
    execFileSync('sha256sum', ['--quiet', '--strict', '-c', `${RESERVED_FOLDER}/SHA256SUMS`], { cwd: to });
    for (const { path, content, target } of entries) {
      if (content !== undefined) expect(readFileSync(`${to}/${path}`).equals(content)).toBe(true);
      else if (target === undefined) expect(statSync(`${to}/${path}`).isDirectory()).toBe(true);
      else expect(readlinkSync(`${to}/${path}`)).toBe(target);
    }
    expect(statSync(`${to}/data/a.txt`).mode & 0o777).toBe(0o644);
    const precision = format === 'zip' ? 2 : 0;
    expect(Math.abs(statSync(`${to}/data/a.txt`).mtimeMs / 1000 - 1_795_406_400.123_456)).toBeLessThanOrEqual(
      precision + 0.001,
    );
  });

  it('names that no tool lays out are kept beside, and come back', async () => {
    const deep = Array.from({ length: 18 }, (_, i) => ['long', ...Array<string>(i).fill('n'.repeat(250))].join('/'));
    const entries: SampleEntry[] = [
      { path: '.foodsave-backup' },
      { path: '.foodsave-backup/manifest.json', content: bytes('not ours') },
      { path: 'C:x', content: bytes('drive') },
      { path: 'back\\slash', content: bytes('b') },
      { path: 'caf\udce9' },
      { path: 'caf\udce9/menu', content: bytes('m') },
      { path: 'line\nbreak', content: bytes('l') },
      { path: 'link', target: 'caf\udce9' },
      ...deep.map((path) => ({ path })),
      { path: `${deep[17] ?? ''}/x`, content: bytes('past what a system call takes') },
      { path: 'queue', kind: 'fifo' },
    ];
    const file = temp.join(`names.${format}`);
    await writeSample(file, format, entries);
    const seen = await readAll(file);
    expectAll(seen, entries);
    const places = seen.map(({ record }) => record.at);
    const n = (i: number): string => `.foodsave-backup/renamed/${i}`;
    expect(places).toEqual([
      ...[undefined, n(1), n(2), n(3), undefined, n(4), n(5), undefined],
      ...deep.map(() => undefined),
      ...[n(6), undefined],
    ]);
    const to = temp.join(`names-${format}`);
    extract(file, format, to);
    execFileSync('sha256sum', ['--quiet', '--strict', '-c', `${RESERVED_FOLDER}/SHA256SUMS`], { cwd: to });
    expect(readFileSync(`${to}/${n(4)}`, 'utf8')).toBe('m');
    expect([existsSync(`${to}/${deep[14] ?? ''}`), existsSync(`${to}/${deep[15] ?? ''}`)]).toEqual([true, false]);
  });

  it('components that disagree about a path are both kept', async () => {
    const config = { config: { ...META, mode: 0o600 } };
    const both = { files: META, config: { ...META, mode: 0o640 } };
    const entries: SampleEntry[] = [
      { path: 'a', in: both },
      { path: 'a/same', content: bytes('same'), in: both },
      { path: 'b', content: bytes('file in one') },
      { path: 'b', in: config },
      { path: 'b/below', content: bytes('directory in the other'), in: config },
      { path: 'c', content: bytes('redacted'), in: config },
      { path: 'c', content: bytes('redacted') },
    ];
    const file = temp.join(`shared.${format}`);
    const component = {
      type: 'config',
      driver: 'directory',
      status: 'complete' as const,
      files: 1,
      directories: 0,
      links: 0,
      sizeBytes: 1,
      paths: [],
      facts: {},
    };
    const { components } = { components: { files: { ...component, type: 'files' }, config: component } };
    await writeSample(file, format, entries, { components });
    expectAll(await readAll(file), entries);
    extract(file, format, temp.join(`shared-${format}`));
  });

  it('any tree comes back', { timeout: 120_000 }, async () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 12 })
      .filter((s) => !/[/\0]/.test(s) && s !== '.' && s !== '..');
    const meta = fc.record({
      mode: fc.integer({ min: 0, max: 0o7777 }),
      mtimeNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map(String),
      uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
      xattrs: fc.dictionary(fc.string(), fc.base64String()),
    });
    const leaf = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }).map((content) => ({ content })),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).map((target) => ({ target })),
      fc.constant({}),
    );
    const tree = fc.uniqueArray(fc.tuple(fc.array(name, { minLength: 1, maxLength: 4 }), leaf, meta), {
      selector: ([names]) => names.join('/'),
      maxLength: 25,
    });
    let n = 0;
    await fc.assert(
      fc.asyncProperty(tree, async (drawn) => {
        const paths = new Set(drawn.map(([names]) => names.join('/')));
        const isParent = (path: string): boolean => [...paths].some((other) => other.startsWith(`${path}/`));
        const entries = drawn
          .map(([names, entry, mine]) => {
            const path = names.join('/');
            return { path, ...(isParent(path) ? {} : entry), in: { files: mine } };
          })
          .sort((a, b) => compareLayoutPaths(a.path, b.path));
        const file = temp.join(`any-${++n}.${format}`);
        await writeSample(file, format, entries);
        expectAll(await readAll(file), entries);
      }),
      { numRuns: 30, seed: 7 },
    );
  });
});

/** Takes whatever is written, and remembers whether it ended. */
const sink = (fail: (taken: number) => Error | null = () => null): Writable => {
  let taken = 0;
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      taken += chunk.length;
      done(fail(taken));
    },
  });
};

it('a file that is not what its record says fails the archive, which does not end', async () => {
  for (const format of FORMATS) {
    for (const wrong of [bytes('hellO\n'), bytes('hello'), bytes('hello\n\n'), noise(2_000_000)]) {
      const { manifest, entries } = sourceOf(LARGE);
      const source: ArchiveSource = {
        manifest,
        async *entries() {
          for await (const entry of entries()) {
            yield entry.record.path === 'data/a.txt' ? { ...entry, content: () => piecesOf(wrong) } : entry;
          }
        },
      };
      const out = sink();
      await expect(writeArchive(format, source, out, { signal })).rejects.toMatchObject({
        code: 'DATA_DAMAGED',
        details: { path: 'data/a.txt' },
      });
      expect(out.destroyed).toBe(true);
      expect(out.writableFinished).toBe(false);
    }
  }
});

it('a stream that fails ends the archive with its error', async () => {
  const full = Object.assign(new Error('disk full'), { code: 'ENOSPC' });
  for (const format of FORMATS) {
    for (const entries of [SMALL, LARGE]) {
      const out = sink((taken) => (taken > 1000 ? full : null));
      await expect(writeArchive(format, sourceOf(entries), out, { signal })).rejects.toMatchObject({ code: 'ENOSPC' });
    }
  }
});

it('a file that is no archive is refused in words', async () => {
  writeFileSync(temp.join('text'), 'hello');
  await expect(Archive.open(temp.join('text'), { signal })).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  await expect(Archive.open(temp.join('nothing'), { signal })).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
  await expect(Archive.open(temp.path, { signal })).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' });
});

import type { EntryRecord } from '../records.ts';
import { craftedOf, headOf, tarGzOf, zipOf, type CraftedEntry, type HeadOptions } from './craft.ts';
import { changed, GOOD, text, type HostileCase } from './hostile-base.ts';
import { TARS, ZIPS } from './hostile-formats.ts';
import { manifestOf, META, recordOf, type SampleEntry } from './sample.ts';

/** Both formats of one thing. */
function both(
  name: string,
  entries: () => CraftedEntry[],
  says: RegExp,
  more: Partial<HostileCase> = {},
): HostileCase[] {
  return [
    { format: 'zip', name, bytes: () => zipOf(entries()), says, ...more },
    { format: 'tar.gz', name, bytes: () => tarGzOf(entries()), says, ...more },
  ];
}

/** An entry whose name in the archive is not what the records say. */
const named = (name: string): HostileCase[] =>
  both(
    `an entry called ${JSON.stringify(name)}`,
    () => changed('data/a.txt', (e) => ({ ...e, name })),
    /stands where|in none|is not what|names|header/,
  );

/** A record, and an entry for it, with a path that an export never has. */
const recorded = (path: string, says: RegExp): HostileCase[] =>
  both(
    `a record of ${JSON.stringify(path).slice(0, 60)}`,
    () => {
      const good = recordOf({ path: 'x', content: text('x') });
      return [...headOf([{ ...good, path }]), { name: path.slice(0, 200), content: text('x') }];
    },
    says,
  );

const head = (name: string, options: HeadOptions, says: RegExp, more: Partial<HostileCase> = {}): HostileCase[] =>
  both(name, () => craftedOf(GOOD, options), says, more);

/** Records of which one is changed, under checksums that agree. */
const record = (name: string, change: (records: EntryRecord[]) => EntryRecord[], says: RegExp): HostileCase[] =>
  both(
    name,
    () => {
      const good = craftedOf(GOOD).slice(4);
      return [...headOf(change(GOOD.map(recordOf))), ...good];
    },
    says,
  );

const NAMES = [
  '../../etc/passwd',
  '/etc/passwd',
  'data/../../x',
  'data\\..\\x',
  'C:\\x',
  'C:x',
  './data/a.txt',
  'data//a.txt',
  'data/a.txt ',
  'DATA/A.TXT',
  '',
];

const PATHS: HostileCase[] = [
  ...NAMES.flatMap(named),
  ...recorded('../../etc/passwd', /segment/),
  ...recorded('/etc/passwd', /absolute/),
  ...recorded('a//b', /empty segment/),
  ...recorded('./a', /"\." segment/),
  ...recorded('', /empty|absolute/),
  ...recorded('nul\0byte', /NUL/),
  ...recorded('lone\ud800', /surrogate/),
  ...recorded('x'.repeat(256), /longer than 255/),
  ...recorded('d/'.repeat(1024) + 'x', /nest too deep/),
];

const RECORDS: HostileCase[] = [
  ...record('two records for one path', (r) => [...r.slice(0, 2), ...r.slice(1)], /twice|wrong place/),
  ...both('records in another order', () => craftedOf([GOOD[0], GOOD[2], GOOD[1]] as SampleEntry[]), /wrong place/),
  ...record('an entry below a link', (r) => [...r, { ...(r[1] as EntryRecord), path: 'data/link/x' }], /no directory/),
  ...record(
    'an entry below a file',
    ([a, b, c, d]) => [a, b, { ...c, path: 'data/a.txt/x' }, d] as EntryRecord[],
    /no directory/,
  ),
  ...record(
    'a component that the manifest lacks',
    (r) => r.map((one) => ({ ...one, in: { database: META } })),
    /manifest lacks/,
  ),
  ...record('an entry in no component', (r) => r.map((one) => ({ ...one, in: {} })), /not a record/),
  ...record('a place of its own choice', (r) => r.map((one) => ({ ...one, at: '../x' })), /no export puts it/),
  ...record(
    'a mode beyond the permission bits',
    (r) => r.map((one) => ({ ...one, in: { files: { ...META, mode: 0o100644 } } })),
    /not a record/,
  ),
  ...record(
    'a negative size',
    (r) => r.map((one) => (one.kind === 'file' ? { ...one, size: -1 } : one)),
    /not a record|promises|wrong type/,
  ),
  ...record('another size', (r) => r.map((one) => (one.size === 5 ? { ...one, size: 6 } : one)), /not what entries/),
  ...record(
    'another hash',
    (r) => r.map((one) => (one.size === 5 ? { ...one, sha256: '0'.repeat(64) } : one)),
    /SHA-256/,
  ),
  ...record(
    'another target',
    (r) => r.map((one) => (one.target === undefined ? one : { ...one, target: '/etc/passwd' })),
    /not what entries/,
  ),
  ...record(
    'a link where there is a file',
    ([a, , c, d]) => [a, recordOf({ path: 'data/a.txt', target: 'b.txt' }), c, d] as EntryRecord[],
    /not what entries|SHA256SUMS/,
  ),
  ...record('a record less', (r) => r.slice(0, 3), /in none of its lists/),
  ...record('a record more', (r) => [...r, recordOf({ path: 'data/z', content: text('z') })], /missing from it/),
  ...head('records that end in the middle of a line', { records: (t) => t.slice(0, -5) }, /whole line/),
  ...head('a record that is no JSON', { records: (t) => `${t}{\n` }, /not a record/),
  ...head('a record nested a million deep', { records: (t) => `${t}${'['.repeat(100_000)}\n` }, /not a record/),
  ...head(
    'a record with keys that nobody knows',
    { records: (t) => t.replace('{"path"', '{"__proto__":{},"path"') },
    /not a record/,
  ),
  ...head('a line without an end', { records: (t) => t + 'x'.repeat(3_000_000) }, /longer than/),
];

const CHECKSUMS: HostileCase[] = [
  ...head(
    'checksums that miss a file',
    { checksums: (t) => t.split('\n').slice(0, 3).join('\n') + '\n' },
    /SHA256SUMS/,
  ),
  ...head(
    'checksums that add a file',
    { checksums: (t) => `${t}${'0'.repeat(64)}  ../../etc/passwd\n` },
    /SHA256SUMS has lines/,
  ),
  ...head(
    'checksums of something else',
    { checksums: (t) => t.replace(/[0-9a-f]{8}/g, '00000000') },
    /SHA256SUMS does not/,
  ),
  ...head('gigantic checksums without a line', { checksums: (t) => t + '0'.repeat(5_000_000) }, /longer than/),
  ...head('no checksums', { checksums: () => '' }, /SHA256SUMS/),
];

const component = manifestOf().components['files'];
const withComponents = (components: Record<string, unknown>): HeadOptions => ({
  manifest: { components } as HeadOptions['manifest'] & object,
});

const MANIFESTS: HostileCase[] = [
  ...head('a manifest that is no JSON', { manifestText: () => 'hello' }, /manifest\.json/),
  ...head(
    'a manifest of something else',
    { manifestText: (t) => t.replace('foodsave-backup archive', 'other') },
    /manifest\.json/,
  ),
  ...head('a newer version', { manifestText: (t) => t.replace('"version": 1', '"version": 2') }, /version 2/, {
    code: 'FORMAT_TOO_NEW',
  }),
  ...head('a manifest nested a million deep', { manifestText: () => '['.repeat(1_000_000) }, /manifest\.json/),
  ...head('a gigantic manifest', { manifestText: (t) => t + ' '.repeat(9_000_000) }, /are the most/),
  ...head('a component called ../x', withComponents({ '../x': component }), /wrong type/),
  ...head('a component of another type', withComponents({ database: component }), /wrong type/),
  ...head(
    'a component called __proto__',
    { manifestText: (t) => t.replace('"files": {', '"__proto__": {') },
    /wrong type/,
  ),
  ...head('a root that is none', withComponents({ files: { ...component, root: '../x' } }), /wrong type/),
  ...head('a driver with a path', withComponents({ files: { ...component, driver: '../../x' } }), /wrong type/),
  ...head(
    'a million components',
    withComponents(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`files:c${i}`, component]))),
    /wrong type/,
  ),
  ...head('a time that is none', { manifest: { createdAt: 'yesterday' } }, /wrong type/),
  ...head('negative totals', { manifest: { sizeBytes: -1 } }, /wrong type/),
  ...head('totals that promise more', { manifest: { files: 3 } }, /do not agree/),
  ...head('contents that no deflate can hold', { manifest: { sizeBytes: 10 ** 15 } }, /cannot hold/),
];

const many = (count: number): SampleEntry[] =>
  Array.from({ length: count }, (_, i) => ({ path: `f${String(i).padStart(7, '0')}` }));

const LIMITS: HostileCase[] = both('more entries than are allowed', () => craftedOf(many(50)), /most|more than 20/, {
  limits: { entries: 20 },
});

export const CASES: readonly HostileCase[] = [
  ...PATHS,
  ...RECORDS,
  ...CHECKSUMS,
  ...MANIFESTS,
  ...ZIPS,
  ...TARS,
  ...LIMITS,
];

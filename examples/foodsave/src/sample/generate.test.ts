import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { generateSample } from './generate.ts';
import type { SampleReport } from './generate.ts';
import { inspectDatabase } from './inspect.ts';
import { updateRandomRows } from './mutate.ts';
import { SampleError } from './options.ts';
import { SCHEMA_VERSION } from './schema.ts';

let scratch: string;
let report: SampleReport;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'foodsave-generate-'));
  report = generateSample(join(scratch, 'one'));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const data = (...path: string[]): string => join(scratch, 'one', 'data', ...path);

interface Found {
  /** Relative to the directory that was walked. */
  path: string;
  kind: 'file' | 'link' | 'directory';
  full: string;
}

/** Everything below a directory. `readdirSync` with `recursive` would walk through links. */
function walk(root: string, below = ''): Found[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((entry): Found[] => {
    const path = join(below, entry.name);
    const kind = entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'directory';
    return [{ path, kind, full: join(root, path) }, ...(kind === 'directory' ? walk(root, path) : [])];
  });
}

const filesIn = (root: string): Found[] => walk(root).filter((found) => found.kind === 'file');
const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Path, mode, time and content of everything below a directory, one line each. */
function fingerprint(root: string): string[] {
  return walk(root)
    .map(({ path, kind, full }) => {
      const stat = lstatSync(full);
      const content = kind === 'file' ? hashOf(full) : kind === 'link' ? readlinkSync(full) : kind;
      const time = path === 'foodsave.db' ? 0 : stat.mtimeMs;
      return `${path} ${stat.mode.toString(8)} ${String(time)} ${content}`;
    })
    .sort();
}

describe('the generator', () => {
  test('makes the same bytes, names, modes and times from the same seed', () => {
    generateSample(join(scratch, 'two'));
    expect(fingerprint(join(scratch, 'two', 'data'))).toEqual(fingerprint(data()));
  });

  test('makes other data from another seed', () => {
    const other = generateSample(join(scratch, 'three'), { seed: 'other', scale: 0.2 });
    const same = generateSample(join(scratch, 'four'), { scale: 0.2 });
    const lines = new Set(fingerprint(join(scratch, 'four', 'data')));
    const shared = fingerprint(join(scratch, 'three', 'data')).filter((line) => lines.has(line));
    expect(shared.filter((line) => /\.(jpg|db|faiss|env|md|tmp) /.test(line))).toEqual([]);
    expect(new Set([...other.secrets, ...same.secrets]).size).toBe(8);
  });

  test('makes about a hundred files and two and a half megabytes of database at scale 1', () => {
    const { uploads, docs } = report.parts;
    expect((uploads?.files ?? 0) + (docs?.files ?? 0)).toBeGreaterThan(90);
    expect(report.parts['foodsave.db']?.bytes).toBeGreaterThan(2_200_000);
    expect(report.parts['foodsave.db']?.bytes).toBeLessThan(2_800_000);
  });

  test.for([6_000_000, 25_000_000])('meets a wanted database size of %d bytes within five percent', (databaseBytes) => {
    const { database } = generateSample(join(scratch, String(databaseBytes)), {
      databaseBytes,
      documents: 12,
      photos: 4,
    });
    expect(Math.abs(statSync(database).size / databaseBytes - 1)).toBeLessThan(0.05);
  });

  test('makes exactly the documents, photographs and vectors that are asked for', () => {
    const directory = join(scratch, 'counts');
    generateSample(directory, { scale: 0.1, documents: 30, photos: 90, vectors: 333 });
    const files = filesIn(join(directory, 'data')).map((file) => file.path);
    expect(files.filter((path) => path.endsWith('.jpg') && !path.includes('(1)'))).toHaveLength(90);
    expect(files.filter((path) => path.startsWith('docs/'))).toHaveLength(30);
    const sidecar = JSON.parse(readFileSync(join(directory, 'data/vector_store/index.meta.json'), 'utf8')) as {
      ids: string[];
    };
    expect(new Set(sidecar.ids).size).toBe(333);
  });

  test('refuses to touch data that is there, and says so', () => {
    const before = fingerprint(data());
    expect(() => generateSample(join(scratch, 'one'), { seed: 'again' })).toThrow(SampleError);
    expect(fingerprint(data())).toEqual(before);
  });

  test('clears away what an interrupted run left, and keeps a backup.yaml that somebody wrote', () => {
    const directory = join(scratch, 'five');
    generateSample(directory, { scale: 0.1 });
    rmSync(join(directory, 'data'), { recursive: true });
    writeFileSync(join(directory, '.data.partial'), 'left over');
    writeFileSync(join(directory, 'backup.yaml'), 'application: mine\n');
    generateSample(directory, { scale: 0.1 });
    expect(readdirSync(directory).sort()).toEqual(['backup.yaml', 'data']);
    expect(readFileSync(join(directory, 'backup.yaml'), 'utf8')).toBe('application: mine\n');
  });

  test.for([{ scale: 0 }, { scale: NaN }, { scale: 1, databaseBytes: 1e6 }, { documents: 1 }, { photos: 2.5 }])(
    'refuses %o before it makes anything',
    (options) => {
      expect(() => generateSample(join(scratch, 'refused'), options)).toThrow(SampleError);
      expect(existsSync(join(scratch, 'refused'))).toBe(false);
    },
  );
});

describe('the database', () => {
  test('is sound: integrity, foreign keys, full-text index, ledger, totals', () => {
    const state = inspectDatabase(report.database);
    expect(state.problems).toEqual([]);
    expect(state.lastSeq).toBe(1);
    expect(state.rows).toMatchObject({ users: 40, products: 600, recipes: 80, receipts: 700, meal_plans: 300 });
    expect(state.rows.receipt_items).toBeGreaterThan(6000);
  });

  test('is in WAL mode with a version, TypeORM migrations and rows of about 250 bytes', () => {
    const database = new Database(report.database, { readonly: true });
    try {
      expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(database.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION);
      const names = database.prepare('SELECT name FROM migrations ORDER BY timestamp DESC').pluck().all();
      expect(names).toHaveLength(SCHEMA_VERSION);
      expect(names[0]).toBe('AddLedger1718013600000');
      const perRow = database
        .prepare(
          "SELECT (SELECT sum(payload) FROM dbstat WHERE name = 'receipt_items') * 1.0 / (SELECT count(*) FROM receipt_items)",
        )
        .pluck()
        .get() as number;
      expect(perRow).toBeGreaterThan(220);
      expect(perRow).toBeLessThan(280);
      const found = database
        .prepare("SELECT count(*) FROM recipes_fts WHERE recipes_fts MATCH 'zurek OR pierogi OR bigos'")
        .pluck()
        .get();
      expect(found).toBeGreaterThan(0);
    } finally {
      database.close();
    }
  });

  test('names photographs that exist', () => {
    const database = new Database(report.database, { readonly: true });
    const paths = database
      .prepare('SELECT photo_path FROM receipts WHERE photo_path IS NOT NULL')
      .pluck()
      .all() as string[];
    database.close();
    expect(paths).toHaveLength(40);
    expect(paths.filter((path) => !existsSync(data(path)))).toEqual([]);
  });

  test('shows damage when it is inspected', () => {
    const { database: path } = generateSample(join(scratch, 'damaged'), { scale: 0.1 });
    const database = new Database(path);
    database.pragma('foreign_keys = OFF');
    database.exec("INSERT INTO ledger VALUES (3, '2025-01-01', 'gap', '')");
    database.exec('UPDATE receipts SET total_grosz = total_grosz + 1 WHERE id = 4');
    database.exec('DELETE FROM receipt_items WHERE receipt_id = 5 AND line_no = 1');
    database.exec('UPDATE meal_plans SET user_id = 999 WHERE id < 3');
    database.exec("INSERT INTO recipes_fts(rowid, title, ingredients, steps) VALUES (9999, 'ghost', '', '')");
    database.close();
    expect(inspectDatabase(path).problems).toEqual([
      'foreign_key_check: 2 rows',
      expect.stringContaining('recipes_fts'),
      'ledger: 2 entries up to number 3',
      'receipts: 2 disagree with their lines',
    ]);
  });

  test('changes the wanted share of rows, the same ones for the same seed', () => {
    const notes = (path: string): string[] => {
      const database = new Database(path, { readonly: true });
      const all = database
        .prepare("SELECT coalesce(note, '') || storage_place FROM receipt_items ORDER BY id")
        .pluck()
        .all() as string[];
      database.close();
      return all;
    };
    const [first, second] = ['six', 'seven'].map(
      (name) => generateSample(join(scratch, name), { scale: 0.2 }).database,
    );
    const before = notes(first!);
    expect(updateRandomRows(first!, 5, 'x')).toBe(Math.round(before.length * 0.05));
    updateRandomRows(second!, 5, 'x');
    expect(notes(second!)).toEqual(notes(first!));
    const changed = notes(first!).filter((note, index) => note !== before[index]).length;
    expect(changed).toBe(Math.round(before.length * 0.05));
    expect(updateRandomRows(first!, 100, 'y')).toBe(before.length);
    expect(inspectDatabase(first!).problems).toEqual([]);
    expect(() => updateRandomRows(first!, 0)).toThrow(SampleError);
  });
});

describe('the files', () => {
  test('hold the cases that a backup must get right', () => {
    expect(statSync(data('docs/pusty plik.txt')).size).toBe(0);
    expect(readdirSync(data('docs/szkice'))).toEqual([]);
    expect(existsSync(data('docs/Zgłoszenia reklamacyjne/Zażółć gęślą jaźń (kopia 2).txt'))).toBe(true);
    expect(statSync(data('docs/najnowszy-poradnik.md')).isFile()).toBe(true);
    expect(readdirSync(data('uploads/aktualne')).length).toBeGreaterThan(0);
    expect(existsSync(data('docs/archiwum/zerwany-odnośnik'))).toBe(false);
    expect(lstatSync(data('docs/archiwum/zerwany-odnośnik')).isSymbolicLink()).toBe(true);
    const hashes = filesIn(data('docs')).map((file) => hashOf(file.full));
    expect(hashes.length - new Set(hashes).size).toBe(2);
    const modes = new Set(filesIn(data('docs')).map((file) => (statSync(file.full).mode & 0o777).toString(8)));
    expect([...modes].sort()).toEqual(['444', '600', '640', '644', '755']);
    expect(statSync(data('config/.env')).mode & 0o777).toBe(0o600);
  });

  test('are photographs that do not compress and documents that do', () => {
    const photos = filesIn(data('uploads')).filter((file) => file.path.endsWith('.jpg'));
    expect(photos.length).toBeGreaterThan(40);
    for (const photo of photos) {
      const bytes = readFileSync(photo.full);
      expect(bytes.subarray(0, 4).toString('hex')).toBe('ffd8ffe0');
      expect(bytes.subarray(-2).toString('hex')).toBe('ffd9');
    }
    const one = readFileSync(photos[0]!.full);
    expect(gzipSync(one).length).toBeGreaterThan(one.length * 0.97);
    const text = readFileSync(data('docs/Przepisy babci – żurek i pierogi.md'));
    expect(gzipSync(text).length).toBeLessThan(text.length * 0.6);
  });

  test('are protected by a backup.yaml of the documented shape', () => {
    expect(parse(readFileSync(join(scratch, 'one', 'backup.yaml'), 'utf8'))).toEqual({
      application: 'foodsave',
      repository: { type: 'local', path: './backups' },
      components: {
        database: { driver: 'sqlite', path: './data/foodsave.db' },
        files: { include: ['./data/uploads', './data/docs'], exclude: ['*.tmp'] },
        config: { include: ['./data/config'], env: ['LOG_LEVEL'] },
        vector_store: { driver: 'faiss', path: './data/vector_store' },
      },
      retention: { daily: 7, weekly: 4, monthly: 12 },
    });
  });

  test('hold the secrets that the report names, in .env and nowhere else', () => {
    expect(report.secrets).toHaveLength(4);
    const holders = filesIn(data()).filter((file) => {
      const bytes = readFileSync(file.full);
      return report.secrets.some((secret) => bytes.includes(secret));
    });
    expect(holders.map((file) => file.path)).toEqual(['config/.env']);
  });
});

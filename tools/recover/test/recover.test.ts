import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildInto, differences, execute, scratch, snapshot } from './harness.ts';
import { writeSample, type Sample } from './sample.ts';
import { Writer } from './writer.ts';

const SECRET = 'zażółć gęślą jaźń';
const root = scratch();
const asRoot = process.getuid?.() === 0;
let program = '';

beforeAll(() => {
  program = buildInto(join(root, 'dist'));
});

describe.each([
  { kind: 'plain', secret: undefined },
  { kind: 'encrypted', secret: SECRET },
])('a repository ($kind)', ({ kind, secret }) => {
  const repository = join(root, kind);
  const env: Record<string, string> = secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret };
  let sample: Sample;
  const recover = (...args: string[]) => execute(program, [...args, '--repository', repository], { env });
  const copyOf = (name: string): string => {
    const directory = join(root, `${kind}-${name}`);
    cpSync(repository, directory, { recursive: true });
    return directory;
  };

  beforeAll(() => {
    const writer = new Writer(repository, secret === undefined ? {} : { secret });
    sample = writeSample(writer, 'nightly');
  });

  test('list shows the backup', () => {
    const { code, out, err } = recover('list');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/nightly +2026-11-23T01:00:00\.000Z .*partial/);
  });

  test('list --json is one document', () => {
    const body: unknown = JSON.parse(recover('list', '--json').out);
    expect(body).toMatchObject({ checked: true, backups: [{ name: 'nightly', status: 'partial', confirmed: true }] });
  });

  test('verify reads every byte', () => {
    const { code, out, err } = recover('verify', 'nightly');
    expect(out).toContain('OK: nightly');
    expect(err).toContain('vector_store is not in this backup: it was locked');
    expect(code).toBe(0);
    const bytes = [...sample.files.values()].reduce((sum, content) => sum + content.length, 0);
    const body: unknown = JSON.parse(recover('verify', 'nightly', '--json').out);
    expect(body).toMatchObject({ status: 'ok', checkedBytes: bytes, files: sample.files.size, damaged: [] });
  });

  test('restore gives every byte back', () => {
    const target = join(root, `${kind}-target/deep`);
    const { code, out, err } = recover('restore', 'NIGHTLY', target);
    expect(code, err).toBe(0);
    expect(out).toContain(`Restored ${sample.files.size} files`);
    const found = snapshot(target);
    expect(differences(found.files, sample.files)).toEqual([]);
    expect(found.links).toEqual(sample.links);
  });

  test('restore sets modes, times and owners, and leaves setuid bits out', () => {
    const target = join(root, `${kind}-target/deep`);
    const of = (path: string) => lstatSync(join(target, path), { bigint: true });
    expect(of('data/uploads/set').mode & 0o7777n).toBe(0o755n);
    expect(of('data/uploads/locked').mode & 0o7777n).toBe(0o555n);
    expect(of('data/uploads/locked').mtimeNs).toBe(1_500_000_000_000_000_000n);
    expect(of('data').mtimeNs).toBe(1_600_000_000_000_000_000n);
    expect(of('data').mode & 0o7777n).toBe(0o750n);
    expect(of('data/uploads/sparse').mtimeNs).toBe(-1_250_000_000n);
    for (const path of ['data/uploads/large.bin', 'data/uploads/link', 'data/uploads']) {
      const off = 1_700_000_000_123_456_789n - of(path).mtimeNs;
      expect(off >= 0n && off < 500n, `${path} is ${off} ns off`).toBe(true);
    }
    if (asRoot) expect(of('data/uploads/large.bin')).toMatchObject({ uid: 12_345n, gid: 54_321n });
  });

  test('restore --keep-setuid keeps them', () => {
    const target = join(root, `${kind}-setuid`);
    expect(recover('restore', 'nightly', target, '--keep-setuid').code).toBe(0);
    expect(statSync(join(target, 'data/uploads/set')).mode & 0o7777).toBe(0o6755);
  });

  test('without the index it reads the packs instead, and says so', () => {
    const copy = copyOf('no-index');
    rmSync(join(copy, 'index'), { recursive: true });
    const target = join(root, `${kind}-no-index-target`);
    const { code, err } = execute(program, ['restore', 'nightly', target, '--repository', copy], { env });
    expect(err).toContain('Reading the directories of all 4 packs instead of the index');
    expect(code).toBe(0);
    expect(differences(snapshot(target).files, sample.files)).toEqual([]);
  });

  test('an index that knows only some packs is no obstacle', () => {
    const copy = copyOf('old-index');
    rmSync(join(copy, 'index'), { recursive: true });
    const writer = new Writer(join(root, `${kind}-unrelated`), secret === undefined ? {} : { secret });
    writer.index();
    const target = join(root, `${kind}-old-index-target`);
    cpSync(join(root, `${kind}-unrelated/index`), join(copy, 'index'), { recursive: true });
    const { code, err } = execute(program, ['restore', 'nightly', target, '--repository', copy], { env });
    expect(code).toBe(0);
    expect(err).toContain('does not belong here');
    expect(differences(snapshot(target).files, sample.files)).toEqual([]);
  });

  test('the first manifest and repository.json are replaced by their second copies', () => {
    const copy = copyOf('no-first');
    rmSync(join(copy, 'nightly.json'));
    writeFileSync(join(copy, 'repository.json'), 'garbage');
    const listed = execute(program, ['list', '--repository', copy], { env });
    expect(listed.code).toBe(1);
    expect(listed.err).toContain('nightly.json is missing');
    expect(listed.err).toContain('repository.json is damaged');
    const target = join(root, `${kind}-no-first-target`);
    const { code } = execute(program, ['restore', 'nightly', target, '--repository', copy], { env });
    expect(code).toBe(0);
    expect(differences(snapshot(target).files, sample.files)).toEqual([]);
    expect(execute(program, ['verify', 'nightly', '--repository', copy], { env })).toMatchObject({ code: 1 });
  });

  test('without both copies of repository.json the packs say what repository it is', () => {
    const copy = copyOf('no-repository');
    rmSync(join(copy, 'repository.json'));
    rmSync(join(copy, 'manifests/repository.json'));
    const target = join(root, `${kind}-no-repository-target`);
    expect(execute(program, ['restore', 'nightly', target, '--repository', copy], { env }).code).toBe(0);
    expect(differences(snapshot(target).files, sample.files)).toEqual([]);
  });

  test('without the second manifest the backup is unconfirmed', () => {
    const copy = copyOf('unconfirmed');
    rmSync(join(copy, 'manifests/nightly.json'));
    const listed = execute(program, ['list', '--repository', copy], { env });
    expect(listed).toMatchObject({ code: 0, err: '' });
    expect(listed.out).toContain('unconfirmed');
    const verified = execute(program, ['verify', 'nightly', '--repository', copy], { env });
    expect(verified.code).toBe(0);
    expect(verified.err).toContain('nightly is unconfirmed');
  });

  test('a manifest under another name is refused', () => {
    const copy = copyOf('renamed');
    renameSync(join(copy, 'nightly.json'), join(copy, 'other.json'));
    renameSync(join(copy, 'manifests/nightly.json'), join(copy, 'manifests/other.json'));
    const { code, err } = execute(program, ['restore', 'other', join(root, 'x'), '--repository', copy], { env });
    expect(code).toBe(1);
    expect(err).toContain('is the manifest of another backup');
  });

  test('it runs from the repository it lies in, and from the current directory', () => {
    const copy = copyOf('inside');
    cpSync(program, join(copy, 'recover.mjs'));
    expect(execute(join(copy, 'recover.mjs'), ['list'], { env }).out).toContain('nightly');
    expect(execute(program, ['list'], { env, cwd: copy }).out).toContain('nightly');
  });
});

describe('the key', () => {
  const repository = join(root, 'keyed');
  beforeAll(() => {
    const writer = new Writer(repository, { secret: SECRET });
    writer.key('second', 'fsbk1-second', { N: 32, r: 8, p: 2 });
    writeSample(writer, 'nightly');
  });
  const verify = (args: string[], env: Record<string, string> = {}) =>
    execute(program, ['verify', 'nightly', '--repository', repository, ...args], { env });

  test('comes from a file, from the environment, or from a file named there; any key of the repository opens it', () => {
    const file = join(root, 'key.txt');
    writeFileSync(file, `\n ${SECRET.normalize('NFD')}\r\n`);
    expect(verify(['--key-file', file]).code).toBe(0);
    expect(verify([], { BACKUP_ENCRYPTION_KEY_FILE: file }).code).toBe(0);
    expect(verify([], { BACKUP_ENCRYPTION_KEY: 'fsbk1-second' }).code).toBe(0);
  });

  test('wrong: 12; none: 12; unreadable file: 2', () => {
    const wrong = verify([], { BACKUP_ENCRYPTION_KEY: 'guess' });
    expect(wrong.code).toBe(12);
    expect(wrong.err).toContain('does not open this repository');
    expect(wrong.err).not.toContain('guess');
    expect(verify([]).code).toBe(12);
    expect(verify(['--key-file', join(root, 'absent')]).code).toBe(2);
  });

  test('is not needed to list', () => {
    const { code, out } = execute(program, ['list', '--repository', repository]);
    expect(code).toBe(0);
    expect(out).toMatch(/nightly .*listed/);
    expect(out).toContain('not authenticated');
  });

  test('is asked for on a terminal and not shown', () => {
    const command = `${process.execPath} ${program} verify nightly --repository ${repository}`;
    const typed = execFileSync('script', ['-qefc', command, '/dev/null'], {
      input: `fsbk1-secondX\u007f\r`,
      encoding: 'utf8',
    });
    expect(typed).toContain('Key of the repository');
    expect(typed).toContain('OK: nightly');
    // What the pseudo-terminal itself echoed before the program turned echo off is not the program's.
    expect(typed.split('Key of the repository')[1]).not.toContain('fsbk1-second');
  });

  test('for a repository without encryption is an error', () => {
    const plain = join(root, 'plain');
    const { code, err } = execute(program, ['list', '--repository', plain], { env: { BACKUP_ENCRYPTION_KEY: 'x' } });
    expect(code).toBe(2);
    expect(err).toContain('not encrypted');
  });

  test('that is lost with the folder keys/ is told apart from a wrong one', () => {
    const copy = join(root, 'keyless');
    cpSync(repository, copy, { recursive: true });
    rmSync(join(copy, 'keys'), { recursive: true });
    const { code, err } = execute(program, ['verify', 'nightly', '--repository', copy], {
      env: { BACKUP_ENCRYPTION_KEY: SECRET },
    });
    expect(code).toBe(1);
    expect(err).toContain('keys/ is missing');
  });
});

describe('the program', () => {
  const plain = join(root, 'plain');

  test('is the same, byte for byte, wherever and whenever it is built', () => {
    const again = buildInto(join(root, 'again/deeper'));
    expect(readFileSync(again).equals(readFileSync(program))).toBe(true);
    expect(readFileSync(again, 'utf8')).not.toContain(process.cwd());
    expect(readdirSync(join(root, 'again/deeper'))).toEqual(['recover.mjs']);
  });

  test('imports nothing but what Node brings', () => {
    const imports = [...readFileSync(program, 'utf8').matchAll(/^import .* from "([^"]+)"/gm)].map((match) => match[1]);
    expect(imports.length).toBeGreaterThan(2);
    expect(imports.filter((name) => !name?.startsWith('node:'))).toEqual([]);
  });

  test('says so when Node is too old to decompress', () => {
    const old = join(root, 'old.cjs');
    writeFileSync(old, `delete require('zlib').zstdDecompressSync; require('module').syncBuiltinESMExports();`);
    const { code, err } = execute(program, ['list'], { node: ['-r', old] });
    expect(code).toBe(1);
    expect(err).toContain('22.15 or newer is needed');
    expect(err).not.toContain('    at ');
  });

  test.each([
    [[], 'No command'],
    [['lsit'], 'no command "lsit"'],
    [['verify'], 'name of one backup'],
    [['restore', 'nightly'], 'a directory'],
    [['list', '--colour'], '--colour'],
  ])('usage: %j', (args, message) => {
    const { code, err } = execute(program, [...args, '--repository', plain]);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('Use: node recover.mjs');
    expect(err).not.toContain('    at ');
  });

  test('--help', () => {
    expect(execute(program, ['--help'])).toMatchObject({ code: 0, err: '' });
  });

  test('no repository: 10; no such backup: 1', () => {
    expect(execute(program, ['list', '--repository', join(root, 'dist')]).code).toBe(10);
    const { code, err } = execute(program, ['verify', 'weekly', '--repository', plain]);
    expect(code).toBe(1);
    expect(err).toContain('The newest: nightly');
  });

  test('a target that is not empty or lies in the repository is refused', () => {
    const full = join(root, 'dist');
    const refused = execute(program, ['restore', 'nightly', full, '--repository', plain]);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('not empty; nothing was written');
    expect(execute(program, ['restore', 'nightly', join(plain, 'x'), '--repository', plain])).toMatchObject({
      code: 2,
    });
    expect(existsSync(join(plain, 'x'))).toBe(false);
  });
});

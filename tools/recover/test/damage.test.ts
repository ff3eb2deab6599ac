import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildInto, differences, execute, remove, runHere, scratch, snapshot } from './harness.ts';
import { cut, noise, writeSample, type Sample } from './sample.ts';
import { directoryEntry, extentList, fileEntry, linkEntry } from './encode.ts';
import { Writer } from './writer.ts';

const root = scratch();

/** Two files, a link, pages with page hashes: as few bytes as show each kind of object. */
function writeTiny(directory: string, secret: string | undefined): Map<string, Buffer> {
  const writer = new Writer(directory, secret === undefined ? {} : { secret });
  const pages = noise(1024, 1);
  const text = Buffer.from('hello');
  const database = writer.blob('database', 2, cut(pages, 512));
  writer.pageHashes(database, pages, 512);
  const data = writer.blob('files', 1, [text], { codec: 0 });
  const leaf = writer.extentLeaf(extentList(512, [database], [{ blob: 0, length: 2 }]));
  const inner = writer.tree([
    fileEntry('b.db', { content: pages, node: writer.extentNode(1, [[leaf, 1024]]), pageSize: 512 }),
  ]);
  const list = extentList(1, [data], [{ blob: 0, length: text.length }]);
  const tree = writer.tree([directoryEntry('a', inner), fileEntry('c', { content: text, list }), linkEntry('d', 'c')]);
  writer.flushAll();
  writer.index();
  writer.manifest('tiny', { files: tree });
  return new Map([
    ['a/b.db', pages],
    ['c', text],
  ]);
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe.each([
  { kind: 'plain', secret: undefined },
  { kind: 'encrypted', secret: 'secret' },
])('each byte of a repository ($kind)', ({ kind, secret }) => {
  test('can be flipped, and is found by verify and never restored as if it were whole', async () => {
    const repository = join(root, `tiny-${kind}`);
    const env: Record<string, string> = secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret };
    const wanted = writeTiny(repository, secret);
    expect(await runHere(['verify', 'tiny', '--repository', repository], env)).toMatchObject({ code: 0 });
    const target = join(root, `tiny-${kind}-target`);
    let wholes = 0;
    let flips = 0;
    for (const path of filesBelow(repository)) {
      const good = readFileSync(path);
      // What is one text under one checksum needs only samples; packs are read piece by piece.
      const step = path.endsWith('.pack') ? 1 : 7;
      for (let at = 0; at < good.length; at += step) {
        const bad = Buffer.from(good);
        bad.writeUInt8(good.readUInt8(at) ^ (1 << (at % 8)), at);
        writeFileSync(path, bad);
        const where = `${path}, byte ${at}`;
        const { code, err } = await runHere(['restore', 'tiny', target, '--repository', repository], env);
        expect(err, where).not.toContain('--verbose');
        if (existsSync(target)) {
          const found = snapshot(target);
          if (code === 0) {
            expect(differences(found.files, wanted), where).toEqual([]);
            expect(found.links.get('d'), where).toBe('c');
            wholes += 1;
          } else {
            const wrong = differences(found.files, wanted).filter((name) => wanted.has(name) && found.files.has(name));
            expect(wrong, where).toEqual([]);
          }
          remove(target);
        } else expect(code, where).not.toBe(0);
        if (flips % 6 === 0)
          expect((await runHere(['verify', 'tiny', '--repository', repository], env)).code, where).not.toBe(0);
        flips += 1;
      }
      writeFileSync(path, good);
    }
    // Second copies and the index are there to be lost: much of the damage must not matter to a restore.
    expect(wholes).toBeGreaterThan(flips / 8);
    expect(await runHere(['verify', 'tiny', '--repository', repository], env)).toMatchObject({ code: 0 });
  }, 240_000);

  test('can be the last one', async () => {
    const repository = join(root, `cut-${kind}`);
    const env: Record<string, string> = secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret };
    const wanted = writeTiny(repository, secret);
    for (const path of filesBelow(repository)) {
      const good = readFileSync(path);
      for (const length of [0, 1, 63, 64, Math.floor(good.length / 2), good.length - 1]) {
        writeFileSync(path, good.subarray(0, length));
        const target = join(root, `cut-${kind}-target`);
        const { code, err } = await runHere(['restore', 'tiny', target, '--repository', repository], env);
        expect(err).not.toContain('--verbose');
        if (code === 0) expect(differences(snapshot(target).files, wanted), `${path} cut at ${length}`).toEqual([]);
        expect((await runHere(['verify', 'tiny', '--repository', repository], env)).code).not.toBe(0);
        rmSync(target, { recursive: true, force: true });
      }
      writeFileSync(path, good);
    }
  });
});

describe('damage', () => {
  const repository = join(root, 'sample');
  let program = '';
  let sample: Sample;
  let packs: Record<string, string>;

  beforeAll(() => {
    program = buildInto(join(root, 'dist'));
    sample = writeSample(new Writer(repository), 'nightly');
    packs = Object.fromEntries(
      ['files', 'meta', 'database', 'config'].map((folder) => [folder, readdirSync(join(repository, folder))[0] ?? '']),
    );
  });

  const damagedCopy = (name: string): string => {
    const directory = join(root, name);
    cpSync(repository, directory, { recursive: true });
    return directory;
  };

  test('in one frame costs the files that need it; the rest is restored, and what is left of a file kept aside', () => {
    const copy = damagedCopy('frame');
    const path = join(copy, 'files', packs['files']!);
    const bytes = readFileSync(path);
    bytes.fill(0, 64 + 40_000, 64 + 40_100);
    writeFileSync(path, bytes);
    const target = join(root, 'frame-target');
    const { code, err, out } = execute(program, ['restore', 'nightly', target, '--repository', copy]);
    expect(code).toBe(1);
    expect(err).toContain('Damaged: data/uploads/large.bin: 30000 of 300000 bytes are lost');
    expect(out).toContain('1 path could not be restored whole');
    const { files } = snapshot(target);
    const kept = files.get('data/uploads/large.bin.damaged')!;
    const large = sample.files.get('data/uploads/large.bin')!;
    const wrong = cut(large, 30_000).filter(
      (part, i) => !part.equals(kept.subarray(i * 30_000, i * 30_000 + part.length)),
    );
    expect(wrong).toHaveLength(1);
    expect(kept).toHaveLength(large.length);
    files.delete('data/uploads/large.bin.damaged');
    expect(differences(files, sample.files)).toEqual(['data/uploads/large.bin']);
    const verified = execute(program, ['verify', 'nightly', '--repository', copy, '--json']);
    expect(verified.code).toBe(1);
    expect(JSON.parse(verified.out)).toMatchObject({
      status: 'damaged',
      damaged: [{ path: 'data/uploads/large.bin' }],
    });
  });

  test('in a pack is made good by another pack that holds the same blobs', () => {
    const copy = damagedCopy('twice');
    // The same blobs in another order and so in another pack.
    const other = new Writer(join(root, 'twice-other'), { id: Buffer.from(repositoryId(repository), 'hex') });
    other.blob('files', 1, [Buffer.from('something else')]);
    writeSample(other, 'nightly');
    const [pack = ''] = readdirSync(join(root, 'twice-other/files'));
    cpSync(join(root, 'twice-other/files', pack), join(copy, 'files', pack));
    const path = join(copy, 'files', packs['files']!);
    writeFileSync(path, readFileSync(path).fill(0, 64 + 20_000, 64 + 60_000));
    const target = join(root, 'twice-target');
    const { code, err } = execute(program, ['restore', 'nightly', target, '--repository', copy]);
    expect(code).toBe(0);
    expect(err).toContain('is damaged');
    expect(differences(snapshot(target).files, sample.files)).toEqual([]);
    const verified = execute(program, ['verify', 'nightly', '--repository', copy]);
    expect(verified.code).toBe(1);
    expect(verified.out).toContain('can still be restored');
  });

  test('that takes a whole pack takes nothing else', () => {
    const copy = damagedCopy('pack');
    rmSync(join(copy, 'database', packs['database']!));
    const target = join(root, 'pack-target');
    const { code, err } = execute(program, ['restore', 'nightly', target, '--repository', copy]);
    expect(code).toBe(1);
    expect(err).toContain('is missing');
    expect(differences(snapshot(target).files, sample.files)).toEqual(['data/app.db']);
  });

  test('to all trees is said in words', () => {
    const copy = damagedCopy('trees');
    rmSync(join(copy, 'meta'), { recursive: true });
    const { code, err } = execute(program, ['restore', 'nightly', join(root, 'trees-target'), '--repository', copy]);
    expect(code).toBe(1);
    expect(err).toContain('the root of database:main');
    expect(err).not.toContain('    at ');
  });

  test('a pack in the wrong folder is found and used, and verify says so', () => {
    const copy = damagedCopy('folder');
    mkdirSync(join(copy, 'custom'));
    renameSync(join(copy, 'files', packs['files']!), join(copy, 'custom', packs['files']!));
    expect(execute(program, ['restore', 'nightly', join(root, 'folder-target'), '--repository', copy]).code).toBe(0);
    const { code, err } = execute(program, ['verify', 'nightly', '--repository', copy]);
    expect(code).toBe(1);
    expect(err).toContain('belongs into the folder files');
  });

  test('both copies of a manifest: list marks the backup and goes on with the others', () => {
    const copy = damagedCopy('manifest');
    for (const file of ['nightly.json', 'manifests/nightly.json']) {
      const text = readFileSync(join(copy, file), 'utf8');
      writeFileSync(join(copy, file), text.replace('T01:00:00', 'T02:00:00'));
    }
    const whole = readFileSync(join(repository, 'nightly.json'), 'utf8');
    writeFileSync(join(copy, 'other.json'), whole);
    const { code, out, err } = execute(program, ['list', '--repository', copy]);
    expect(code).toBe(1);
    expect(out).toMatch(/nightly .*damaged/);
    expect(err).toContain('nightly.json is damaged (checksum)');
    const restored = execute(program, ['restore', 'nightly', join(root, 'manifest-target'), '--repository', copy]);
    expect(restored).toMatchObject({ code: 1 });
    expect(existsSync(join(root, 'manifest-target'))).toBe(false);
  });
});

function repositoryId(directory: string): string {
  return /"id": "([0-9a-f]{32})"/.exec(readFileSync(join(directory, 'repository.json'), 'utf8'))?.[1] ?? '';
}

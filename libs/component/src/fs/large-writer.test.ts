import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LargeWriter } from './large-writer.ts';

const MIB = 1024 * 1024;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'large-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function written(pieces: (Uint8Array | { hole: number })[]): Promise<string> {
  const path = join(directory, 'file');
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await fill(file, pieces);
  } finally {
    await file.close();
  }
  return path;
}

async function fill(file: FileHandle, pieces: (Uint8Array | { hole: number })[]): Promise<void> {
  const writer = await LargeWriter.open(file);
  try {
    for (const piece of pieces) await writer.write(piece);
    await writer.finish();
  } finally {
    await writer.close();
  }
}

describe('a large file', () => {
  test.each([0, 1, 4095, 4096, 4097, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 4096, 7 * MIB + 123])(
    'of %i bytes has them all, from pieces of any length',
    async (size) => {
      const bytes = randomBytes(size);
      const pieces: Uint8Array[] = [];
      for (let at = 0, step = 1; at < size; at += step, step = (step * 7 + 13) % (MIB + 1)) {
        step = Math.max(step, 1);
        pieces.push(bytes.subarray(at, at + step));
      }
      const path = await written(pieces);
      expect((await readFile(path)).equals(bytes)).toBe(true);
    },
  );

  test('may be filled from memory that is used again for the next piece', async () => {
    const memory = Buffer.alloc(MIB);
    const path = join(directory, 'file');
    const file = await open(path, 'wx');
    const writer = await LargeWriter.open(file);
    for (let i = 1; i <= 6; i++) await writer.write(memory.fill(i));
    await writer.finish();
    await writer.close();
    await file.close();
    const found = await readFile(path);
    for (let i = 1; i <= 6; i++) expect(found.subarray((i - 1) * MIB, i * MIB).every((byte) => byte === i)).toBe(true);
  });

  test.each([4 * MIB, 4 * MIB + 1000])('keeps a hole of %i bytes, and what follows at any offset', async (hole) => {
    const [before, after] = [randomBytes(3 * MIB), randomBytes(3 * MIB + 77)];
    const path = await written([before, { hole }, after]);
    expect((await readFile(path)).equals(Buffer.concat([before, Buffer.alloc(hole), after]))).toBe(true);
    const { blocks } = await stat(path);
    expect(blocks * 512).toBeLessThan(7 * MIB);
  });

  test('that ends in a hole is as long as that', async () => {
    const path = await written([randomBytes(100), { hole: 5 * MIB }]);
    expect((await stat(path)).size).toBe(100 + 5 * MIB);
  });

  test('has holes where it has long runs of zeros', async () => {
    const path = await written([Buffer.alloc(3 * MIB), randomBytes(MIB)]);
    const { size, blocks } = await stat(path);
    expect(size).toBe(4 * MIB);
    expect(blocks * 512).toBeLessThan(2 * MIB);
  });

  test('is filled through the page cache where the file system does nothing else', async () => {
    const file = await open('/dev/shm/large-writer-test', 'wx+').catch(() => open(join(directory, 'file'), 'wx+'));
    await rm('/dev/shm/large-writer-test', { force: true });
    const bytes = randomBytes(3 * MIB + 5);
    await fill(file, [bytes]);
    const found = Buffer.alloc(bytes.length);
    await file.read(found, 0, found.length, 0);
    await file.close();
    expect(found.equals(bytes)).toBe(true);
  });

  test('that cannot be written rejects with the system error', async () => {
    const path = join(directory, 'file');
    await (await open(path, 'wx')).close();
    const file = await open(path, 'r');
    await rm(path);
    const writer = await LargeWriter.open(file);
    await writer.write(randomBytes(100));
    await expect(writer.finish()).rejects.toMatchObject({ code: 'EBADF' });
    await writer.close();
    await file.close();
  });
});

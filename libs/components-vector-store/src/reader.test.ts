import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileReader } from './reader.ts';

const MIB = 1024 * 1024;
const CONTENT = randomBytes(3 * MIB + 1234);
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reader-'));
  await writeFile(join(directory, 'file'), CONTENT);
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe.each([false, true])('a file that is read (direct: %s)', (direct) => {
  test.each([
    [0, 10],
    [0, MIB],
    [4096, 64 * 1024],
    [45, 2 * MIB],
    [4095, 100_001],
    [MIB + 1, 2 * MIB + 1233],
    [CONTENT.length - 70_000, 70_000],
  ])('from byte %i gives %i bytes, in memory of its own and in that of the caller', async (offset, length) => {
    const reader = await fileReader(join(directory, 'file'), { direct });
    try {
      const wanted = CONTENT.subarray(offset, offset + length);
      expect(Buffer.compare(await reader.read(offset, length), wanted)).toBe(0);
      const memory = new Uint8Array(length + 5);
      const bytes = await reader.read(offset, length, memory);
      expect(Buffer.compare(bytes, wanted)).toBe(0);
      expect(bytes.buffer).toBe(memory.buffer);
    } finally {
      await reader.close();
    }
  });

  test('gives fewer bytes at the end', async () => {
    const reader = await fileReader(join(directory, 'file'), { direct });
    const bytes = await reader.read(3 * MIB, MIB);
    await reader.close();
    expect(Buffer.compare(bytes, CONTENT.subarray(3 * MIB))).toBe(0);
  });
});

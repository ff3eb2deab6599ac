import { createCipheriv, hash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { noise } from './data.ts';

const PIECE = 4 * 1024 * 1024;

function rate(bytes: number, work: () => void): number {
  const started = performance.now();
  let done = 0;
  while (performance.now() - started < 1000) {
    work();
    done += bytes;
  }
  return done / ((performance.now() - started) / 1000);
}

/** What this machine can do at most, one core, in bytes a second: the floor under every figure. */
export function machineLimits(scratch: string): Record<string, number> {
  const plain = noise('limits', PIECE);
  for (let i = 0; i < PIECE; i += 2) plain[i] = 0x20;
  const path = join(scratch, 'limits.bin');
  const key = Buffer.alloc(32, 1);
  const limits = {
    'SHA-256': rate(PIECE, () => hash('sha256', plain, 'buffer')),
    'AES-256-GCM': rate(PIECE, () => createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).update(plain)),
    'zstd level 1': rate(PIECE, () => zstdCompressSync(plain, { params: { 100: 1 } })),
    'zstd level 3': rate(PIECE, () => zstdCompressSync(plain, { params: { 100: 3 } })),
    'disk, write and fsync': rate(16 * PIECE, () => {
      const file = openSync(path, 'w');
      for (let i = 0; i < 16; i++) writeSync(file, plain);
      fsyncSync(file);
      closeSync(file);
    }),
  };
  rmSync(path, { force: true });
  return limits;
}

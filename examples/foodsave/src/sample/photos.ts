import { createCipheriv, createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PhotoReference } from './database.ts';
import type { Random } from './random.ts';

const WIDTH = 1240;
const HEIGHT = 1754;

/** Bytes that no compressor makes smaller: the AES-128-CTR key stream of a key derived from the seed. */
function noise(seed: string, length: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(length));
}

function segment(marker: number, body: readonly number[]): Buffer {
  const length = body.length + 2;
  return Buffer.from([0xff, marker, length >> 8, length & 0xff, ...body]);
}

/**
 * A baseline JPEG of one grey component with the segments of ITU-T T.81 in their order: SOI, APP0, DQT, SOF0, DHT (the
 * DC table of its annex K.3 and a flat AC table), SOS, scan data, EOI. The scan data is noise without the byte FF, which
 * would be a marker, so that the picture, where a viewer shows one, is snow.
 */
function jpeg(seed: string, scanBytes: number): Buffer {
  const scan = noise(seed, scanBytes);
  for (let at = scan.indexOf(0xff); at !== -1; at = scan.indexOf(0xff, at)) scan[at] = 0xa5;
  const acSymbols = Array.from({ length: 160 }, (_, index) => (Math.floor(index / 10) << 4) | ((index % 10) + 1));
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xe0, [0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 1, 0, 150, 0, 150, 0, 0]),
    segment(0xdb, [0, ...Array.from({ length: 64 }, (_, index) => 8 + index)]),
    segment(0xc0, [8, HEIGHT >> 8, HEIGHT & 0xff, WIDTH >> 8, WIDTH & 0xff, 1, 1, 0x11, 0]),
    segment(0xc4, [
      0x00,
      0,
      1,
      5,
      1,
      1,
      1,
      1,
      1,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      ...Array.from({ length: 12 }, (_, index) => index),
    ]),
    segment(0xc4, [0x10, 0, 0, 0, 0, 0, 0, 0, 160, 0, 0, 0, 0, 0, 0, 0, 0, ...acSymbols]),
    segment(0xda, [1, 1, 0x00, 0, 63, 0]),
    scan,
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** Writes the photographs under the data directory. Each twentieth is a byte copy of another: somebody uploaded it twice. */
export function writePhotos(data: string, photos: readonly PhotoReference[], count: number, random: Random): void {
  for (let index = 0; index < count; index++) {
    const page = Math.floor(index / photos.length);
    const photo = photos[index % photos.length];
    if (photo === undefined) return;
    const path = join(data, page === 0 ? photo.path : photo.path.replace('.jpg', `-${String(page + 1)}.jpg`));
    const bytes = jpeg(`${random.hex(16)}/${photo.path}`, random.between(12_000, 72_000));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    chmodSync(path, 0o644);
    utimesSync(path, photo.takenAt, photo.takenAt);
    if (index % 20 === 7) {
      const copy = path.replace('.jpg', ' (1).jpg');
      copyFileSync(path, copy);
      utimesSync(copy, photo.takenAt, photo.takenAt);
    }
  }
}

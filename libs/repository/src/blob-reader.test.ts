import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { aheadOf } from './ahead-of.ts';
import { FilesAhead, packObjectKey, PortableDecoder, readPieces, type FileEntry, type Repository } from './index.ts';
import { loadDecoder } from './load-decoder.ts';
import { backUp, makeRepository, noise, SECRET } from './testing/backups.ts';

const FILES = {
  ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`small/${i}`, noise(20_000 + i * 3000, i + 1)])),
  large: Buffer.concat([noise(5_000_000, 90), Buffer.alloc(3_000_000, 'text '), noise(2_000_000, 91)]),
  pages: { pageSize: 4096, pages: Buffer.concat([noise(4096 * 900, 92), Buffer.alloc(4096 * 900, 'row ')]) },
};

function expected(path: string): Buffer {
  const content = (FILES as Record<string, Buffer | { pages: Buffer }>)[path];
  return Buffer.isBuffer(content) ? content : (content as { pages: Buffer }).pages;
}

async function entriesOf(repository: Repository): Promise<[string, FileEntry][]> {
  const { trees } = repository.reader(await repository.loadIndex());
  const manifest = await repository.manifests.get('one');
  const entries: [string, FileEntry][] = [];
  for await (const { path, entry } of trees.walk(Buffer.from(manifest.components['main']?.root ?? '', 'hex'))) {
    if (entry.type === 'file') entries.push([path.map(String).join('/'), entry]);
  }
  return entries;
}

describe.each([SECRET, undefined])('contents (secret %s)', (secret) => {
  it.each([
    ['native', 32 * 1024 * 1024],
    ['native', 1024 * 1024],
    ['native', 0],
    ['portable', 4 * 1024 * 1024],
  ])('read by the %s decoder with a cache of %d bytes, several at once, are whole', async (which, cacheBytes) => {
    const repository = await makeRepository({ secret });
    await backUp(repository, 'one', FILES);
    const entries = await entriesOf(repository);
    expect(entries).toHaveLength(62);
    const decoder = which === 'native' ? await loadDecoder() : new PortableDecoder();
    const { blobs } = repository.reader(await repository.loadIndex(), { decoder, cacheBytes });
    const ahead = new FilesAhead(blobs);
    for (const [, entry] of entries) ahead.add(entry, 100_000);
    ahead.flush();
    const kept: [string, Uint8Array[]][] = [];
    const read = async ([path, entry]: [string, FileEntry], reuse: boolean): Promise<void> => {
      const parts: Uint8Array[] = [];
      for await (const piece of readPieces(blobs, entry, { reuse })) {
        if ('hole' in piece) parts.push(Buffer.alloc(piece.hole));
        else parts.push(reuse ? Buffer.from(piece) : piece);
      }
      expect(Buffer.concat(parts).equals(expected(path))).toBe(true);
      if (!reuse) kept.push([path, parts]);
    };
    for (let i = 0; i < entries.length; i += 6) {
      await Promise.all(entries.slice(i, i + 6).map((entry, k) => read(entry, k % 3 !== 0)));
    }
    for (const entry of entries) await read(entry, true);
    // What was not borrowed is nobody else's, whatever was read since.
    expect(kept.length).toBeGreaterThan(20);
    for (const [path, parts] of kept) expect(Buffer.concat(parts).equals(expected(path))).toBe(true);
  });

  it('beside a damaged frame are read; what was loaded ahead of it in vain is told by who needs it only', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ secret, storage });
    await backUp(repository, 'one', FILES);
    const entries = await entriesOf(repository);
    const load = await repository.loadIndex();
    const { blobs } = repository.reader(load, { asItIs: true });
    const small = entries.filter(([path]) => path.startsWith('small/'));
    const [, first] = small[0] as [string, FileEntry];
    const place = load.index.get(first.extents?.extents[0]?.blob as Buffer);
    if (place === undefined) throw new Error('nothing is stored');
    const { pack, blob } = place;
    const name = packObjectKey(pack.folder, pack.hash);
    const bytes = Buffer.from(await storage.get(name));
    // In the last frame of the blob.
    const end = blob.frames.reduce((sum, frame) => sum + frame.stored, blob.offset);
    bytes[end - 40] = (bytes[end - 40] as number) ^ 1;
    await storage.put(name, bytes);
    const ahead = new FilesAhead(blobs);
    for (const [, entry] of small) ahead.add(entry, entry.size);
    ahead.flush();
    const outcomes: string[] = [];
    for (const [path, entry] of small) {
      try {
        const parts: Uint8Array[] = [];
        for await (const piece of readPieces(blobs, entry, { reuse: true }))
          parts.push(Buffer.from(piece as Uint8Array));
        expect(Buffer.concat(parts).equals(expected(path))).toBe(true);
        outcomes.push('whole');
      } catch (error) {
        outcomes.push((error as { code: string }).code);
      }
    }
    expect(outcomes[0]).toBe('whole');
    expect(outcomes).toContain('DATA_DAMAGED');
    expect(outcomes.filter((what) => what === 'whole').length).toBeGreaterThan(20);
    expect([...blobs.suspects]).toEqual([name]);
  });
});

describe('work ahead', () => {
  it('comes in order, so many at once, and a failure in its turn', async () => {
    let running = 0;
    let most = 0;
    const seen: number[] = [];
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, (7 * item) % 5));
      running--;
      if (item === 6) throw new Error('six');
      return item * 2;
    };
    const all = async (): Promise<void> => {
      for await (const { item, result } of aheadOf([1, 2, 3, 4, 5, 6, 7, 8], 2, work)) {
        expect(result).toBe(item * 2);
        seen.push(item);
      }
    };
    await expect(all()).rejects.toThrow('six');
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(most).toBe(2);
    expect(running).toBe(0);
  });
});

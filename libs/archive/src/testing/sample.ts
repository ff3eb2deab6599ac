import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { ArchiveFormat, ArchiveSource } from '../write/archive.ts';
import { writeArchive, type ArchiveTotals } from '../write/archive.ts';
import type { ArchiveManifest } from '../manifest.ts';
import type { EntryRecord, RecordMeta } from '../records.ts';

/** An entry of a sample: a file by its content, a link by its target, else a directory. */
export interface SampleEntry {
  path: string;
  content?: Uint8Array;
  target?: string;
  kind?: string;
  in?: Record<string, RecordMeta>;
}

export const META: RecordMeta = { mode: 0o644, mtimeNs: '1795406400123456789', uid: 1000, gid: 1000 };

export function recordOf(entry: SampleEntry): EntryRecord {
  const { path, content, target } = entry;
  const components = entry.in ?? { files: META };
  if (content !== undefined) {
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { path, kind: 'file', size: content.length, sha256, in: components };
  }
  if (target !== undefined) return { path, kind: 'symlink', target, in: components };
  return { path, kind: entry.kind ?? 'directory', in: components };
}

export function manifestOf(over: Partial<ArchiveManifest> = {}): ArchiveSource['manifest'] {
  return {
    name: 'sample',
    id: '01kaqxg0000000000000000000',
    repositoryId: '000102030405060708090a0b0c0d0e0f',
    createdAt: '2026-11-23T04:00:00.000Z',
    finishedAt: '2026-11-23T04:00:02.500Z',
    durationMs: 2500,
    status: 'complete',
    trigger: 'manual',
    tags: ['one'],
    application: 'example',
    software: '0.1.0',
    captureSkewMs: 0,
    exportedAt: '2026-11-24T04:00:00.000Z',
    exportedBy: '0.1.0',
    selection: {},
    components: {
      files: {
        type: 'files',
        driver: 'directory',
        status: 'complete',
        files: 1,
        directories: 0,
        links: 0,
        sizeBytes: 1,
        capturedAt: '2026-11-23T04:00:01.000Z',
        paths: ['data'],
        facts: { note: 'zażółć' },
      },
    },
    ...over,
  };
}

export function sourceOf(entries: readonly SampleEntry[], over: Partial<ArchiveManifest> = {}): ArchiveSource {
  return {
    manifest: manifestOf(over),
    async *entries() {
      for (const entry of entries) {
        const { content } = entry;
        const record = await Promise.resolve(recordOf(entry));
        yield content === undefined ? { record } : { record, content: () => piecesOf(content) };
      }
    },
  };
}

export async function* piecesOf(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 65_536) yield await Promise.resolve(content.subarray(at, at + 65_536));
}

export function writeSample(
  file: string,
  format: ArchiveFormat,
  entries: readonly SampleEntry[],
  over: Partial<ArchiveManifest> = {},
): Promise<ArchiveTotals> {
  const signal = new AbortController().signal;
  return writeArchive(format, sourceOf(entries, over), createWriteStream(file, { mode: 0o600 }), { signal });
}

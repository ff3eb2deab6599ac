import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@foodsave-backup/kernel';
import { openFsRestore, type RestoreEntry } from '../../index.ts';

/** Restores COUNT files below `<base>/data` with the content "new", to be killed on the way. Prints "commit" before it commits. */
const COUNT = 300;
const base = process.argv[2] ?? '';
const meta = {
  mode: 0o644,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: 1_700_000_000_000_000_000n,
};
const bytes = Buffer.from('new');
const sha256 = createHash('sha256').update(bytes).digest();

function* entries(): Generator<RestoreEntry> {
  yield { path: 'data', kind: 'directory', size: 0, meta: { ...meta, mode: 0o755 } };
  for (let i = 0; i < COUNT; i++) {
    const path = `data/f${String(i).padStart(3, '0')}`;
    yield {
      path,
      kind: 'file',
      size: bytes.length,
      sha256,
      meta,
      async *content() {
        yield await Promise.resolve(bytes);
      },
    };
  }
}

const run = {
  signal: new AbortController().signal,
  warn: () => undefined,
  destination: { kind: 'live' as const },
  facts: { capturedAt: '2026-01-01T00:00:00Z' },
  dryRun: false,
};
const sink = await openFsRestore({ run, clock: systemClock, baseDir: base, roots: [join(base, 'data')] });
await sink.plan(
  (async function* () {
    for (const entry of entries()) yield await Promise.resolve(entry);
  })(),
);
for (const entry of entries()) await sink.write(entry);
process.stdout.write('commit\n');
await sink.commit();
process.stdout.write('done\n');
await sink.close();

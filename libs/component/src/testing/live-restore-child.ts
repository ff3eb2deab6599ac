import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@foodsave-backup/kernel';
import { watchFileCalls } from '@foodsave-backup/testing';
import { openFsRestore, type RestoreEntry } from '../index.ts';

/**
 * Restores COUNT files below `<base>/data` with the content "new", and kills itself just before the call to the file system
 * of that number (from 1) after it has begun to commit. Prints the number of such calls when it survives.
 */
const COUNT = 60;
const [base = '', killAt = '0'] = process.argv.slice(2);
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
let calls = 0;
await watchFileCalls({
  below: base,
  onCall: () => (++calls === Number(killAt) ? 'before' : undefined),
  die: () => {
    process.kill(process.pid, 'SIGKILL');
  },
});
await sink.commit();
await sink.close();
process.stdout.write(`${calls}\n`);

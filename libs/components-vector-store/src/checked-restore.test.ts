import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestoreRun, RestoreSink } from '@foodsave-backup/component';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckedRestore } from './checked-restore.ts';

let directory: string;
let calls: string[];
let sink: CheckedRestore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'checked-'));
  calls = [];
  const inner: RestoreSink = {
    plan: () => Promise.reject(new Error('not here')),
    write: () => Promise.resolve(),
    commit: () => {
      calls.push('commit');
      return Promise.resolve({ files: 1, bytes: 2, notes: [] });
    },
    close: () => {
      calls.push('close');
      return Promise.resolve();
    },
  };
  const run: RestoreRun = {
    signal: new AbortController().signal,
    warn: () => undefined,
    destination: { kind: 'target', directory },
    facts: { capturedAt: '', indexes: [{ path: 'index.faiss' }] },
    dryRun: false,
  };
  sink = new CheckedRestore(inner, directory, run);
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('a restored vector store', () => {
  test('is looked at when all was written, not when it is committed, which tells what was found', async () => {
    sink.written();
    // Waits for the check, which finds no index.
    await sink.close();
    await writeFile(join(directory, 'index.faiss'), 'too late');
    await expect(sink.commit()).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
    expect(calls).toEqual(['close', 'commit']);
  });

  test('is looked at by the commit of who tells nothing of the end', async () => {
    await expect(sink.commit()).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
    await sink.close();
  });
});

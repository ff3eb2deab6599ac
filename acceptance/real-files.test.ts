import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CreateResult, RestoreResult, VerifyResult } from '@foodsave-backup/engine';
import { compareTrees, tempDir, type TreeDifference } from '@foodsave-backup/testing';
import { openApplication } from './harness.ts';
import { attributesBelow, makeTree, randomTrees } from './random-tree.ts';

const CONFIG = `application: files
repository: { type: local, path: ./backups }
components:
  files: { include: [./data] }
`;

const RUNS = 4;

/** What recover.mjs, which has nothing but Node.js, cannot do as exactly: times, and FIFOs. */
function beyondNode({ what, a, b }: TreeDifference): boolean {
  if (what !== 'mtime' && what !== 'directory-mtime') return false;
  const off = BigInt(a ?? 0) - BigInt(b ?? 0);
  // Before 1970 it is good to the millisecond.
  const bound = BigInt(a ?? 0) < 0n ? 1_000_000n : 1_000n;
  return off < bound && off > -bound;
}

/** 512-byte blocks that all files below a directory take, each counted once. */
function blocksOf(directory: string): number {
  return Number(execFileSync('du', ['-s', '--block-size=512', directory], { encoding: 'latin1' }).split('\t')[0]);
}

describe('random trees of real files come back as they were', () => {
  it(`into a directory, in place and through recover.mjs: ${RUNS} trees`, { timeout: 300_000 }, async () => {
    await using temp = await tempDir();
    await writeFile(temp.join('backup.yaml'), CONFIG);
    const app = await openApplication(temp.path);
    const data = temp.join('data');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(randomTrees, async (tree) => {
        const name = `b${++run}`;
        await rm(data, { recursive: true, force: true });
        await makeTree(data, tree);
        const attributes = attributesBelow(data);
        await app.must<CreateResult>({ command: 'create', name, trigger: 'manual', encryption: false });

        const target = temp.join('target');
        const { failed } = await app.must<RestoreResult>({ command: 'restore', name, target });
        expect(failed).toEqual([]);
        expect(await compareTrees(data, join(target, 'data'))).toEqual([]);
        expect(attributesBelow(join(target, 'data'))).toEqual(attributes);
        expect(blocksOf(join(target, 'data'))).toBeLessThanOrEqual(blocksOf(data) + 64);

        const verified = await app.must<VerifyResult>({ command: 'verify', name, level: 'full' });
        expect(verified.damaged).toEqual([]);

        const fifos = tree.filter(({ kind }) => kind === 'fifo').length;
        await throughRecover(temp.path, name, target, fifos);
        await inPlace(app, data, name, target);
        expect(attributesBelow(data)).toEqual(attributes);
        await rm(target, { recursive: true });
      }),
      { seed: 20_261_125, numRuns: RUNS, endOnFailure: true },
    );
  });
});

/** Spoils the live data in ways that a restore must notice, and restores it. */
async function inPlace(
  app: Awaited<ReturnType<typeof openApplication>>,
  data: string,
  name: string,
  like: string,
): Promise<void> {
  const spoil = [
    // Names of one file become files of their own, and files of their own become names of one.
    'for f in $(find . -type f -links +1 -name "[a-z]*" | head -3); do cp -p "$f" "$f.new" && mv "$f.new" "$f"; done',
    'find . -type f -exec setfattr -n user.other -v 1 {} + ; find . -type d -exec setfacl -b {} +',
    'find . -type f -empty -exec chmod 640 {} +',
    'find . -mindepth 1 -name "[m-z]*" -prune -exec rm -rf {} +',
    'mkdir extra && echo extra > extra/file && ln extra/file extra/other',
  ];
  execFileSync('bash', ['-c', spoil.join('\n')], { cwd: data, stdio: 'pipe' });
  await app.must<RestoreResult>({ command: 'restore', name, withoutSafety: true });
  expect(await compareTrees(join(like, 'data'), data)).toEqual([]);
}

async function throughRecover(base: string, name: string, like: string, fifos: number): Promise<void> {
  const target = join(base, 'recovered');
  const args = [join(base, 'backups/recover.mjs'), 'restore', name, target, '--json'];
  const body = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' })) as {
    damaged: unknown[];
    warnings: string[];
  };
  expect(body.damaged).toEqual([]);
  const differences = await compareTrees(like, target, { ignore: ['directory-mtime'] });
  const unlike = differences.filter((one) => one.path !== '.' && !beyondNode(one));
  const missing = unlike.filter(({ what }) => what === 'missing');
  expect(missing).toHaveLength(fifos);
  // ACLs are not set, so that what they leave in the bits of the group is all that is kept of them.
  expect(unlike.filter(({ what }) => what !== 'missing')).toEqual([]);
  if (fifos > 0) expect(body.warnings.join()).toContain('named pipe');
  const told = attributesBelow(join(like, 'data')).join().includes('user.test');
  expect(body.warnings.some((warning) => warning.includes('user.test'))).toBe(told);
  await rm(target, { recursive: true });
}

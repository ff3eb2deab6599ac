import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, toBackupError } from '@foodsave-backup/kernel';
import { openLiveFsRestore, type RestoreEntry, type RestorePlan } from '../index.ts';

/**
 * Live restores over real mounts, for a process in a mount namespace of its own: `mounted-restores.ts DIRECTORY`. Prints what
 * became of each as JSON; nothing of it outlives the namespace.
 */
const [base = ''] = process.argv.slice(2);

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

const meta = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 1_700_000_000_000_000_000n };
const directory = (path: string): RestoreEntry => ({
  path,
  kind: 'directory',
  size: 0,
  meta: { ...meta, mode: 0o755 },
});
const file = (path: string, content: string): RestoreEntry => ({
  path,
  kind: 'file',
  meta,
  size: content.length,
  sha256: createHash('sha256').update(content).digest(),
  async *content() {
    yield await Promise.resolve(Buffer.from(content));
  },
});

export interface Outcome {
  error?: { code: string; hint: string };
  plan?: RestorePlan['counts'];
  notes?: string[];
  /** Path → content of everything below the root afterwards, `/` for a directory. */
  tree: Record<string, string>;
  /** Staging directories that are left anywhere near. */
  left: string[];
}

function treeOf(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true, withFileTypes: true });
  const pairs = names.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path.slice(root.length + 1), entry.isDirectory() ? '/' : readFileSync(path, 'utf8')] as const;
  });
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function restore(root: string, entries: readonly RestoreEntry[], before?: () => void): Promise<Outcome> {
  const options = {
    run: {
      signal: new AbortController().signal,
      warn: () => undefined,
      destination: { kind: 'live' as const },
      facts: { capturedAt: '2026-01-01T00:00:00Z' },
      dryRun: false,
    },
    clock: systemClock,
    baseDir: root.slice(0, root.lastIndexOf('/')),
    roots: [root],
  };
  const sink = await openLiveFsRestore(options);
  const outcome: Outcome = { tree: {}, left: [] };
  try {
    const { counts } = await sink.plan(
      (async function* () {
        for (const entry of entries) yield await Promise.resolve(entry);
      })(),
    );
    outcome.plan = counts;
    before?.();
    for (const entry of entries) await sink.write(entry);
    await sink.prepare();
    outcome.notes = (await sink.commit()).notes;
    await sink.check();
  } catch (error) {
    const { code, hint = '' } = toBackupError(error);
    outcome.error = { code, hint };
  }
  await sink.close();
  const tree = treeOf(root);
  const isStage = (path: string): boolean => path.includes('.foodsave-backup-stage-');
  outcome.left = [...Object.keys(tree), ...readdirSync(options.baseDir)].filter(isStage);
  outcome.tree = tree;
  return outcome;
}

function make(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(base, name, 'data');
  mkdirSync(root, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** A disk of its own and a bound directory within the live data: their contents change, they stay. */
async function withMounts(): Promise<Outcome> {
  const root = make('mounts', { top: 'old' });
  mkdirSync(join(base, 'bound'));
  for (const name of ['disk', 'bound', 'unknown']) mkdirSync(join(root, name));
  run('mount', '-t', 'tmpfs', 'none', join(root, 'disk'));
  run('mount', '--bind', join(base, 'bound'), join(root, 'bound'));
  run('mount', '-t', 'tmpfs', 'none', join(root, 'unknown'));
  for (const name of ['disk', 'bound', 'unknown']) {
    writeFileSync(join(root, name, 'a'), 'old');
    writeFileSync(join(root, name, 'extra'), 'old');
  }
  return restore(root, [
    directory('data'),
    directory('data/bound'),
    file('data/bound/a', 'new'),
    directory('data/disk'),
    file('data/disk/a', 'new'),
    directory('data/disk/deep'),
    file('data/disk/deep/b', 'new'),
    file('data/top', 'new'),
  ]);
}

/** The root itself is a mount point: there is no room for a stage beside it on the same disk. */
async function rootIsMount(): Promise<Outcome> {
  const root = make('root', {});
  run('mount', '-t', 'tmpfs', 'none', root);
  writeFileSync(join(root, 'a'), 'old');
  return restore(root, [directory('data'), file('data/a', 'new')]);
}

/** Some of the live data cannot be replaced: everything stays as it was. */
async function readOnlyPart(): Promise<Outcome> {
  const root = make('read-only', { a: 'old', 'part/b': 'old', z: 'old' });
  const part = join(root, 'part');
  run('mount', '--bind', part, part);
  run('mount', '-o', 'remount,bind,ro', part);
  const entries = [directory('data'), file('data/a', 'new'), directory('data/part'), file('data/part/b', 'new')];
  return restore(root, [...entries, file('data/z', 'new')]);
}

/** `chattr +i` where the file system knows it. */
async function immutable(): Promise<Outcome> {
  const root = make('immutable', { a: 'old', b: 'old', c: 'old' });
  run('chattr', '+i', join(root, 'b'));
  try {
    return await restore(root, [directory('data'), ...['a', 'b', 'c'].map((name) => file(`data/${name}`, 'new'))]);
  } finally {
    run('chattr', '-i', join(root, 'b'));
  }
}

async function boundFile(): Promise<Outcome> {
  const root = make('bound-file', { a: 'old', conf: 'old' });
  run('mount', '--bind', join(root, 'conf'), join(root, 'conf'));
  return restore(root, [directory('data'), file('data/a', 'new'), file('data/conf', 'new')]);
}

/** The disk fills up while the files are staged. */
async function fullDisk(): Promise<Outcome> {
  mkdirSync(join(base, 'full'));
  run('mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', join(base, 'full'));
  const root = make('full', { a: 'old' });
  return restore(root, [directory('data'), file('data/a', 'new'), file('data/big', 'x'.repeat(1_000_000))]);
}

/** Something that the preview has not shown appears before the commit. */
async function lateFile(): Promise<Outcome> {
  const root = make('late', { a: 'old', 'gone/b': 'old' });
  return restore(root, [directory('data'), file('data/a', 'new')], () => {
    writeFileSync(join(root, 'gone/late'), 'of the application');
    writeFileSync(join(root, 'late'), 'of the application');
  });
}

export type Outcomes = typeof outcomes;

const outcomes = {
  withMounts: await withMounts(),
  rootIsMount: await rootIsMount(),
  readOnlyPart: await readOnlyPart(),
  immutable: await immutable(),
  boundFile: await boundFile(),
  fullDisk: await fullDisk(),
  lateFile: await lateFile(),
  bound: existsSync(join(base, 'bound/a')) ? readFileSync(join(base, 'bound/a'), 'utf8') : '',
};
process.stdout.write(JSON.stringify(outcomes));

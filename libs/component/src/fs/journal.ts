import type { BigIntStats } from 'node:fs';
import { link, lstat, mkdir, rename, rmdir, unlink } from 'node:fs/promises';
import { systemErrorCode } from '@foodsave-backup/kernel';
import { fsPath } from '../names.ts';
import type { EntryKind, EntryMeta, Xattr } from '../port.ts';
import type { Anchor } from './anchor.ts';
import type { Metadata } from './metadata.ts';
import { splitPath } from './target-sink.ts';

/** A place below an anchor: number of the anchor, and the path relative to it. */
export interface Spot {
  at: number;
  path: string;
}

/**
 * Tells a file from any other and from itself after a change: inode, size and time. Absent where nothing was.
 * A rename keeps it; the ctime, which a hard link changes, is no part of it.
 */
export type Print = string;

/**
 * One step of a commit. Each step can be undone, or done again, without knowing whether or how far it was done:
 * what stood at `live` is kept as `aside` until the whole restore has finished. `was` is what stood there when the restore
 * was prepared, `is` what it puts there.
 */
export type Step =
  | { step: 'put'; live: Spot; staged: Spot; aside: Spot; was?: Print; is?: Print }
  | { step: 'remove'; live: Spot; aside: Spot; was?: Print }
  | { step: 'mkdir'; live: Spot }
  | { step: 'rmdir'; live: Spot; meta: EntryMeta }
  | { step: 'meta'; live: Spot; kind: EntryKind; from: EntryMeta; to: EntryMeta };

export interface StepState {
  done: boolean;
  /** Not as the restore found it, or left it: somebody else has been there since. */
  altered: boolean;
}

/** Carries steps out and undoes them. Paths are resolved below open anchors, never through a link. */
export class StepRunner {
  private readonly anchors: readonly Anchor[];
  private readonly metadata: Metadata;
  private readonly touched = new Map<string, Spot>();
  /** Directories that were to go and stayed, because something that is not part of the backup lies in them. */
  kept = 0;

  constructor(anchors: readonly Anchor[], metadata: Metadata) {
    this.anchors = anchors;
    this.metadata = metadata;
  }

  async do(step: Step): Promise<void> {
    const live = await this.resolve(step.live);
    switch (step.step) {
      case 'put': {
        const aside = await this.resolve(step.aside);
        await keepAside(live, aside);
        await rename(fsPath(await this.resolve(step.staged)), fsPath(live));
        return;
      }
      case 'remove':
        await rename(fsPath(live), fsPath(await this.resolve(step.aside))).catch(ignore('ENOENT'));
        return;
      case 'mkdir':
        // Another component of the same restore may have made a directory that both lie in.
        await mkdir(fsPath(live), { mode: 0o700 }).catch(async (error: unknown) => {
          ignore('EEXIST')(error);
          if (!(await lstat(fsPath(live))).isDirectory()) throw error;
        });
        return;
      case 'rmdir':
        // EBUSY: something is mounted there, which is not ours to unmount.
        await rmdir(fsPath(live)).catch((error: unknown) => {
          ignore('ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY')(error);
          if (systemErrorCode(error) !== 'ENOENT') this.kept++;
        });
        return;
      case 'meta':
        await this.metadata.applyToPath(live, step.kind, step.to);
    }
  }

  async undo(step: Step): Promise<void> {
    const live = await this.resolve(step.live).catch(() => undefined);
    if (live === undefined) return;
    switch (step.step) {
      case 'put': {
        const aside = fsPath(await this.resolve(step.aside));
        const staged = await this.resolve(step.staged);
        if (await exists(aside)) {
          await rename(aside, fsPath(live));
          // When both names still were one file, rename() has done nothing and left both.
          await unlink(aside).catch(ignore('ENOENT'));
        } else if (step.was === undefined && (await printOf(live)) === step.is && !(await exists(fsPath(staged)))) {
          // Back, not away: a second undo of the same step must find that there is nothing left to do.
          await rename(fsPath(live), fsPath(staged)).catch(ignore('ENOENT'));
        }
        return;
      }
      case 'remove': {
        const aside = fsPath(await this.resolve(step.aside));
        if (await exists(aside)) await rename(aside, fsPath(live));
        return;
      }
      case 'mkdir':
        await rmdir(fsPath(live)).catch(ignore('ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR'));
        return;
      case 'rmdir':
        await mkdir(fsPath(live), { mode: 0o700 }).catch(ignore('EEXIST'));
        await this.metadata.trusting().applyToPath(live, 'directory', step.meta);
        return;
      case 'meta':
        await this.metadata.trusting().applyToPath(live, step.kind, step.from).catch(ignore('ENOENT'));
    }
  }

  /** Does what is missing of a step that may have been done in part, or wholly, before the process died. */
  async redo(step: Step): Promise<void> {
    const { done } = await this.look(step);
    if (!done) await this.do(step);
  }

  async look(step: Step): Promise<StepState> {
    const live = await this.resolve(step.live).catch(() => undefined);
    const stats = live === undefined ? undefined : await lstat(fsPath(live), { bigint: true }).catch(ignore('ENOENT'));
    const now = stats === undefined ? undefined : printOfStats(stats);
    switch (step.step) {
      case 'put': {
        const staged = await exists(fsPath(await this.resolve(step.staged)));
        const aside = await exists(fsPath(await this.resolve(step.aside)));
        // Without hard links the old file is already aside for a moment, and nothing stands in its place.
        if (staged) return { done: false, altered: now !== step.was && !(now === undefined && aside) };
        const undone = !aside && now !== step.is && now === step.was;
        return { done: !undone, altered: !undone && now !== step.is };
      }
      case 'remove': {
        const done = stats === undefined || (await exists(fsPath(await this.resolve(step.aside))));
        return { done, altered: stats !== undefined && (done || now !== step.was) };
      }
      case 'mkdir':
        return { done: stats?.isDirectory() === true, altered: false };
      case 'rmdir':
        return { done: stats === undefined, altered: false };
      case 'meta':
        return { done: live !== undefined && stats !== undefined && this.has(live, stats, step), altered: false };
    }
  }

  private has(live: string, stats: BigIntStats, { kind, to }: Extract<Step, { step: 'meta' }>): boolean {
    return !this.metadata.differs(kind, to, this.metadata.metaOf(live, stats));
  }

  /** fsyncs each directory in which a name has changed. */
  async sync(): Promise<void> {
    for (const { at, path } of this.touched.values()) {
      const anchor = this.anchors[at];
      if (anchor && (await anchor.directory(path)) !== undefined) await anchor.sync();
    }
    this.touched.clear();
  }

  /** The path of a spot, valid until the next call for the same anchor. Throws ENOENT when its directory is gone. */
  private async resolve(spot: Spot): Promise<string> {
    const { parent, name } = splitPath(spot.path);
    const directory = await this.anchors[spot.at]?.directory(parent);
    if (directory === undefined) {
      throw Object.assign(new Error(`the directory of "${spot.path}" is missing or was replaced`), { code: 'ENOENT' });
    }
    this.touched.set(`${spot.at} ${parent}`, { at: spot.at, path: parent });
    return `${directory}/${name}`;
  }
}

/** Gives what stands at `live` a second name, so that the rename over it replaces it in one instant. */
async function keepAside(live: string, aside: string): Promise<void> {
  try {
    await link(fsPath(live), fsPath(aside));
  } catch (error) {
    const code = systemErrorCode(error);
    // Nothing to keep, or kept already by a process that died before its rename.
    if (code === 'ENOENT' || code === 'EEXIST') return;
    // No hard links here (FAT, some network file systems, protected_hardlinks): a short moment without the name instead.
    if (code === 'EPERM' || code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'EMLINK') {
      if ((await lstat(fsPath(live))).isDirectory()) throw error;
      await rename(fsPath(live), fsPath(aside));
      return;
    }
    throw error;
  }
}

export function printOfStats({ ino, size, mtimeNs }: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs'>): Print {
  return `${ino} ${size} ${mtimeNs}`;
}

/** `undefined` where nothing is. Never follows a link. */
export async function printOf(path: string): Promise<Print | undefined> {
  const stats = await lstat(fsPath(path), { bigint: true }).catch(ignore('ENOENT', 'ENOTDIR'));
  return stats === undefined ? undefined : printOfStats(stats);
}

async function exists(path: string | Buffer): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    ignore('ENOENT')(error);
    return false;
  }
}

function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemErrorCode(error) ?? '')) throw error;
    return undefined;
  };
}

/** Steps as lines of JSON: bigints as decimal texts. */
export function stepToLine(step: Step): string {
  return JSON.stringify(step, (key, value: unknown) => {
    if (key === 'xattrs') return xattrsToJson(value as readonly Xattr[]);
    return typeof value === 'bigint' ? `${value}n` : value;
  });
}

export function stepFromLine(line: string): Step {
  return JSON.parse(line, (key, value: unknown) => {
    if (key === 'xattrs') return xattrsFromJson(value as readonly [string, string][]);
    const isTime = key.endsWith('Ns') && typeof value === 'string' && /^-?\d+n$/.test(value);
    return isTime ? BigInt(value.slice(0, -1)) : value;
  }) as Step;
}

function xattrsToJson(xattrs: readonly Xattr[]): [name: string, base64: string][] {
  return xattrs.map(({ name, value }) => [name, Buffer.from(value).toString('base64')]);
}

function xattrsFromJson(pairs: readonly (readonly [name: string, base64: string])[]): Xattr[] {
  return pairs.map(([name, base64]) => ({ name, value: Buffer.from(base64, 'base64') }));
}

import { link, lstat, mkdir, rename, rmdir, unlink } from 'node:fs/promises';
import { systemErrorCode } from '@foodsave-backup/kernel';
import { fsPath } from '../names.ts';
import type { EntryKind, EntryMeta } from '../port.ts';
import type { Anchor } from './anchor.ts';
import type { Metadata } from './metadata.ts';
import { splitPath } from './target-sink.ts';

/** A place below an anchor: number of the anchor, and the path relative to it. */
export interface Spot {
  at: number;
  path: string;
}

/**
 * One step of a commit. Each step can be undone without knowing whether, or how far, it was done:
 * what stood at `live` is kept as `aside` until the whole commit has finished.
 */
export type Step =
  | { step: 'put'; live: Spot; staged: Spot; aside: Spot }
  | { step: 'remove'; live: Spot; aside: Spot }
  | { step: 'mkdir'; live: Spot }
  | { step: 'rmdir'; live: Spot; meta: EntryMeta }
  | { step: 'meta'; live: Spot; kind: EntryKind; from: EntryMeta; to: EntryMeta };

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
        await rmdir(fsPath(live)).catch((error: unknown) => {
          ignore('ENOENT', 'ENOTEMPTY', 'EEXIST')(error);
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
        if (await exists(aside)) {
          await rename(aside, fsPath(live));
          // When both names still were one file, rename() has done nothing and left both.
          await unlink(aside).catch(ignore('ENOENT'));
        } else if (!(await exists(fsPath(await this.resolve(step.staged))))) {
          await unlink(fsPath(live)).catch(ignore('ENOENT'));
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
    if (code === 'ENOENT') return;
    // No hard links here (FAT, some network file systems, protected_hardlinks): a short moment without the name instead.
    if (code === 'EPERM' || code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'EMLINK') {
      if ((await lstat(fsPath(live))).isDirectory()) throw error;
      await rename(fsPath(live), fsPath(aside));
      return;
    }
    throw error;
  }
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

function ignore(...codes: string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(systemErrorCode(error) ?? '')) throw error;
  };
}

/** Steps as lines of JSON: bigints as decimal texts. */
export function stepToLine(step: Step): string {
  return JSON.stringify(step, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

export function stepFromLine(line: string): Step {
  return JSON.parse(line, (key, value: unknown) =>
    key.endsWith('Ns') && typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as Step;
}

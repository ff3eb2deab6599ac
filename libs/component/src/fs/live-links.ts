import type { BigIntStats } from 'node:fs';
import type { RestoreEntry } from '../port.ts';
import type { Spot } from './journal.ts';
import { LinkTargets } from './link-targets.ts';

/** A file that other names are linked to: staged, or a live one that stays. */
interface LinkTarget {
  spot: Spot;
  /** Device and inode of a live file. */
  inode?: string;
}

/** Which names of a live restore are one file, so that they become what they are in the backup: neither more nor fewer. */
export class LiveLinks {
  private readonly targets = new LinkTargets<LinkTarget>();
  /** Inodes of live files that stay → the link of the backup that they stand for. */
  private readonly claimed = new Map<string, string>();

  /** Where the file is that this entry is another name of. */
  find(entry: RestoreEntry): Spot | undefined {
    return this.targets.find(entry)?.spot;
  }

  staged(entry: RestoreEntry, spot: Spot): void {
    this.targets.add(entry, { spot });
  }

  stays(entry: RestoreEntry, spot: Spot, stats: BigIntStats): void {
    if (this.find(entry) === undefined) this.targets.add(entry, { spot, inode: inodeOf(stats) });
  }

  /** Whether a live file with the right content may stay: only as the one file that it stands for in the backup. */
  mayStay(entry: RestoreEntry, stats: BigIntStats): boolean {
    if (!entry.link) return stats.nlink === 1n;
    const inode = inodeOf(stats);
    const target = this.targets.find(entry);
    if (target) return target.inode === inode;
    const id = Buffer.from(entry.link.id).toString('latin1');
    if ((this.claimed.get(inode) ?? id) !== id) return false;
    this.claimed.set(inode, id);
    return true;
  }
}

function inodeOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

import type { BigIntStats } from 'node:fs';
import type { HardLink } from '../port.ts';
import { sameState } from './read.ts';

/** Recognises the names of one file during a walk. Remembers a file until all of its names were met. */
export class HardLinks {
  /** Devices by number of appearance: their own numbers may change when the machine starts again. */
  private readonly devices = new Map<bigint, number>();
  private readonly seen = new Map<string, { stats: BigIntStats; left: number }>();

  /** To be asked once for each regular file, in the order of the walk. Undefined for one with a single name. */
  of(stats: BigIntStats): HardLink | undefined {
    if (stats.nlink < 2n) return undefined;
    const device = this.devices.get(stats.dev) ?? this.devices.size;
    this.devices.set(stats.dev, device);
    const id = Buffer.alloc(12);
    id.writeUInt32LE(device);
    id.writeBigUInt64LE(BigInt.asUintN(64, stats.ino), 4);
    const key = id.toString('latin1');
    const before = this.seen.get(key);
    const names = Number(stats.nlink);
    const left = (before?.left ?? names) - 1;
    if (left > 0) this.seen.set(key, { stats, left });
    else this.seen.delete(key);
    return { id, names, again: before !== undefined && sameState(before.stats, stats) };
  }
}

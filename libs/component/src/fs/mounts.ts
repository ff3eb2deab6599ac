import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decodeName, fsPath, isAtOrBelow } from '../names.ts';

/** Tells between which paths a rename is possible: within one mount point (a device number is not enough, see bind mounts). */
export class Mounts {
  private readonly points: readonly string[] | undefined;

  private constructor(points: readonly string[] | undefined) {
    this.points = points;
  }

  static async read(): Promise<Mounts> {
    const text = await readFile('/proc/self/mountinfo').catch(() => undefined);
    return new Mounts(text && parseMountInfo(text));
  }

  /** A key that is equal for paths that a rename can move between. `path` must exist. */
  async of(path: string): Promise<string> {
    if (!this.points) return `device ${(await stat(fsPath(path))).dev}`;
    let best = '/';
    for (const point of this.points) {
      if (point.length > best.length && isAtOrBelow(path, point)) best = point;
    }
    return best;
  }

  /** The directories from the topmost one on the mount of `path`, but not above `limit`, down to `path`. */
  async way(path: string, limit: string): Promise<string[]> {
    const key = await this.of(path);
    const way = [path];
    for (let at = path; at !== limit && at !== '/' && (await this.of(dirname(at))) === key;) {
      at = dirname(at);
      way.unshift(at);
    }
    return way;
  }
}

/** Mount points of `/proc/self/mountinfo` (proc(5)): the fifth field, with octal escapes for blanks. */
export function parseMountInfo(text: Uint8Array): string[] {
  const points: string[] = [];
  for (const line of Buffer.from(text).toString('latin1').split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    const raw = field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    points.push(decodeName(Buffer.from(raw, 'latin1')));
  }
  return points;
}

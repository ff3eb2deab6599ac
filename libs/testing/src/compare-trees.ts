import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, readdir, readlink } from 'node:fs/promises';

const BLOCK_BYTES = 1024 * 1024;
const SLASH = Buffer.from('/');

export type TreeProperty =
  'type' | 'bytes' | 'mode' | 'owner' | 'mtime' | 'directory-mtime' | 'target' | 'device' | 'hard-links';

export interface TreeDifference {
  /** Relative to the roots, `.` for the roots themselves; bytes that are not UTF-8 as `\xNN`. */
  path: string;
  /** `missing`: only in the first tree; `extra`: only in the second. */
  what: 'missing' | 'extra' | TreeProperty;
  a?: string;
  b?: string;
}

export interface CompareTreesOptions {
  /** Properties that may differ. */
  ignore?: readonly TreeProperty[];
}

interface Comparison {
  readonly ignore: ReadonlySet<TreeProperty>;
  readonly differences: TreeDifference[];
  /** Inode of either tree → the first path that names it. */
  readonly links: { a: Map<string, string>; b: Map<string, string> };
}

/**
 * Compares two trees entry by entry: type, bytes, permission bits, owner, modification time (ns; of symbolic links too),
 * targets of symbolic links, numbers of devices, and which names are hard links of one file. Follows no symbolic link and
 * opens nothing but regular files. Resolves to the differences, sorted by path; an empty list means equal.
 */
export async function compareTrees(a: string, b: string, options: CompareTreesOptions = {}): Promise<TreeDifference[]> {
  const comparison: Comparison = {
    ignore: new Set(options.ignore),
    differences: [],
    links: { a: new Map(), b: new Map() },
  };
  await compareEntry(Buffer.from(a), Buffer.from(b), '.', comparison);
  return comparison.differences;
}

async function compareEntry(a: Buffer, b: Buffer, path: string, c: Comparison): Promise<void> {
  const [statA, statB] = await Promise.all([lstat(a, { bigint: true }), lstat(b, { bigint: true })]);
  const type = typeOf(statA);
  differ(c, path, 'type', type, typeOf(statB));
  if (type !== typeOf(statB)) return;
  if (type !== 'symlink')
    differ(c, path, 'mode', (statA.mode & 0o7777n).toString(8), (statB.mode & 0o7777n).toString(8));
  differ(c, path, 'owner', `${statA.uid}:${statA.gid}`, `${statB.uid}:${statB.gid}`);
  differ(c, path, type === 'directory' ? 'directory-mtime' : 'mtime', String(statA.mtimeNs), String(statB.mtimeNs));
  if (type !== 'directory')
    differ(c, path, 'hard-links', firstName(c.links.a, statA, path), firstName(c.links.b, statB, path));
  if (type === 'directory') await compareDirectories(a, b, path, c);
  else if (type === 'file') await compareBytes(a, b, path, c);
  else if (type === 'symlink') await compareTargets(a, b, path, c);
  else if (type.endsWith('device')) differ(c, path, 'device', String(statA.rdev), String(statB.rdev));
}

async function compareDirectories(a: Buffer, b: Buffer, path: string, c: Comparison): Promise<void> {
  const [namesA, namesB] = await Promise.all([readdir(a, { encoding: 'buffer' }), readdir(b, { encoding: 'buffer' })]);
  const inA = new Set(namesA.map((name) => name.toString('latin1')));
  const inB = new Set(namesB.map((name) => name.toString('latin1')));
  for (const latin of [...new Set([...inA, ...inB])].sort()) {
    const name = Buffer.from(latin, 'latin1');
    const child = path === '.' ? printableName(name) : `${path}/${printableName(name)}`;
    if (!inB.has(latin)) c.differences.push({ path: child, what: 'missing' });
    else if (!inA.has(latin)) c.differences.push({ path: child, what: 'extra' });
    else await compareEntry(Buffer.concat([a, SLASH, name]), Buffer.concat([b, SLASH, name]), child, c);
  }
}

async function compareTargets(a: Buffer, b: Buffer, path: string, c: Comparison): Promise<void> {
  const [targetA, targetB] = await Promise.all([
    readlink(a, { encoding: 'buffer' }),
    readlink(b, { encoding: 'buffer' }),
  ]);
  differ(c, path, 'target', printableName(targetA), printableName(targetB));
}

async function compareBytes(a: Buffer, b: Buffer, path: string, c: Comparison): Promise<void> {
  if (c.ignore.has('bytes')) return;
  await using fileA = await open(a, 'r');
  await using fileB = await open(b, 'r');
  const blockA = Buffer.alloc(BLOCK_BYTES);
  const blockB = Buffer.alloc(BLOCK_BYTES);
  for (let offset = 0; ; offset += BLOCK_BYTES) {
    const [readA, readB] = await Promise.all([readBlock(fileA, blockA, offset), readBlock(fileB, blockB, offset)]);
    const common = Math.min(readA, readB);
    if (readA !== readB || blockA.compare(blockB, 0, common, 0, common) !== 0) {
      let at = 0;
      while (at < common && blockA[at] === blockB[at]) at++;
      const show = (block: Buffer, read: number): string =>
        at < read ? `0x${block.toString('hex', at, at + 1)}` : 'the end';
      c.differences.push({
        path,
        what: 'bytes',
        a: `${show(blockA, readA)} at offset ${offset + at}`,
        b: `${show(blockB, readB)} at offset ${offset + at}`,
      });
      return;
    }
    if (readA < BLOCK_BYTES) return;
  }
}

async function readBlock(file: FileHandle, block: Buffer, offset: number): Promise<number> {
  let done = 0;
  while (done < block.length) {
    const { bytesRead } = await file.read(block, done, block.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function differ(c: Comparison, path: string, what: TreeProperty, a: string, b: string): void {
  if (a !== b && !c.ignore.has(what)) c.differences.push({ path, what, a, b });
}

function firstName(names: Map<string, string>, stat: BigIntStats, path: string): string {
  const inode = `${stat.dev}:${stat.ino}`;
  const first = names.get(inode) ?? path;
  names.set(inode, first);
  return first;
}

function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isBlockDevice() ? 'block device' : 'character device';
}

function printableName(name: Buffer): string {
  const text = name.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(name)) return text;
  return [...name].map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join('');
}

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

/** One use of the file system, about to happen. */
export interface FileCall {
  /** Node's name, of a handle's method too; an `open` that can make or change a file is `create`. */
  name: string;
  /** Absolute, also where it was given by descriptor; of two paths the one that is written. */
  path: string;
  /** Whether it can change anything on the medium. */
  writes: boolean;
}

/** Where in a call the process ends: before it, after a part of it (a write, a recursive removal), or when it is done and nobody heard. */
export type KillMoment = 'before' | 'within' | 'after';

export interface FileCallWatch {
  /** Only calls at or below this directory are told. Absolute and without links. */
  below: string;
  /** Told of each call before it happens. A moment ends the process then. */
  onCall(call: FileCall): KillMoment | undefined;
  /** Ends the process and does not return. */
  die(): void;
}

type Arguments = readonly unknown[];
type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>;
type Methods = Record<string, Method>;

/** Which argument is the path that a function reads or writes. */
const READS: Readonly<Record<string, number>> = { readdir: 0, opendir: 0, readFile: 0, stat: 0, lstat: 0, readlink: 0 };
const WRITES: Readonly<Record<string, number>> = {
  ...{ rename: 1, link: 1, symlink: 1, copyFile: 1, unlink: 0, rm: 0, rmdir: 0, mkdir: 0, mkdtemp: 0, writeFile: 0 },
  ...{ chmod: 0, chown: 0, lchown: 0, utimes: 0, lutimes: 0, truncate: 0, appendFile: 0 },
};
const HANDLE_READS = ['read', 'stat'];
const HANDLE_WRITES = ['write', 'appendFile', 'writeFile', 'sync', 'datasync', 'truncate', 'chmod', 'chown', 'utimes'];

/**
 * Watches every call that this process makes through `node:fs/promises`, by putting functions of its own in the place of
 * Node's. For a process that is to be killed at a chosen call, and for no other: there is no way back.
 */
export async function watchFileCalls(watch: FileCallWatch): Promise<void> {
  const watcher = new Watcher(watch);
  const functions = fs.promises as unknown as Methods;
  for (const [name, index] of Object.entries(READS)) watcher.wrap(functions, name, false, (_, args) => args[index]);
  for (const [name, index] of Object.entries(WRITES)) watcher.wrap(functions, name, true, (_, args) => args[index]);
  const probe = await fs.promises.open('/dev/null');
  const methods = Object.getPrototypeOf(probe) as Methods;
  await probe.close();
  for (const name of HANDLE_READS) watcher.wrap(methods, name, false, (handle) => watcher.pathOf(handle));
  for (const name of HANDLE_WRITES) watcher.wrap(methods, name, true, (handle) => watcher.pathOf(handle));
  watcher.wrapOpen(functions);
  syncBuiltinESMExports();
}

class Watcher {
  readonly #watch: FileCallWatch;
  readonly #paths = new WeakMap<object, string>();

  constructor(watch: FileCallWatch) {
    this.#watch = watch;
  }

  pathOf(handle: unknown): string | undefined {
    return typeof handle === 'object' && handle !== null ? this.#paths.get(handle) : undefined;
  }

  wrap(owner: Methods, name: string, writes: boolean, pathOf: (self: unknown, args: Arguments) => unknown): void {
    const original = owner[name];
    if (original === undefined) throw new Error(`Node has no ${name} to watch`);
    const around = this.#around.bind(this);
    owner[name] = function watched(this: unknown, ...args: unknown[]) {
      const path = absolute(pathOf(this, args));
      const run = (): Promise<unknown> => original.apply(this, args);
      return around({ name, path, writes }, run, () => {
        tear(name, this, path, args);
      });
    };
  }

  wrapOpen(functions: Methods): void {
    const original = functions['open'];
    if (original === undefined) throw new Error('Node has no open to watch');
    functions['open'] = async (...args) => {
      const path = absolute(args[0]);
      const writes = opensToWrite(args[1]);
      const run = (): Promise<unknown> => original(...args);
      const handle = await this.#around({ name: writes ? 'create' : 'open', path, writes }, run, () => undefined);
      this.#paths.set(handle as object, path);
      return handle;
    };
  }

  async #around(call: FileCall, run: () => Promise<unknown>, half: () => void): Promise<unknown> {
    const { below, onCall, die } = this.#watch;
    const told = call.path === below || call.path.startsWith(`${below}/`);
    const moment = told ? onCall(call) : undefined;
    if (moment === undefined) return run();
    if (moment === 'within') half();
    if (moment === 'after') await run().catch(() => undefined);
    die();
    throw new Error('The process outlived its end');
  }
}

function opensToWrite(flags: unknown): boolean {
  if (typeof flags === 'number') return (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0;
  return typeof flags === 'string' && flags !== 'r';
}

/** Descriptors and links in front of the last name are followed: a directory may be given as `/proc/self/fd/7`. */
function absolute(path: unknown): string {
  const text = Buffer.isBuffer(path) ? path.toString('utf8') : String(path);
  const match = /^\/proc\/self\/fd\/\d+/.exec(text);
  if (match === null) return text;
  return fs.readlinkSync(match[0]) + text.slice(match[0].length);
}

/** What a process that is killed in the middle of a call may leave: the first half of the bytes, or of the entries. */
function tear(name: string, self: unknown, path: string, args: Arguments): void {
  if (name === 'rm') {
    removeHalf(path);
  } else if (name === 'write' || name === 'appendFile' || name === 'writeFile') {
    const fd = isHandle(self) ? self.fd : fs.openSync(path, name === 'writeFile' ? 'w' : 'a');
    const bytes = bytesOf(isHandle(self) ? args : args.slice(1));
    fs.writeSync(fd, bytes.subarray(0, bytes.length >> 1));
  }
}

function isHandle(self: unknown): self is { fd: number } {
  return typeof self === 'object' && self !== null && 'fd' in self;
}

function bytesOf([data, offset, length]: Arguments): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  if (!(data instanceof Uint8Array)) return Buffer.alloc(0);
  const start = typeof offset === 'number' ? offset : 0;
  return data.subarray(start, typeof length === 'number' ? start + length : undefined);
}

function removeHalf(path: string): void {
  const names = fs.existsSync(path) && fs.lstatSync(path).isDirectory() ? fs.readdirSync(path).sort() : [];
  for (const name of names.slice(0, Math.ceil(names.length / 2))) fs.rmSync(join(path, name), { recursive: true });
}

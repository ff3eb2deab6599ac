import { execFileSync } from 'node:child_process';
import { chmod, lchown, link, mkdir, open, symlink } from 'node:fs/promises';
import fc from 'fast-check';

/** Bytes of a file, and where they lie; the rest up to `size` is a hole. */
interface Sparse {
  size: number;
  data: { at: number; bytes: number }[];
}

export interface RandomEntry {
  kind: 'file' | 'large' | 'sparse' | 'directory' | 'symlink' | 'fifo' | 'link';
  name: Buffer;
  /** Picks a directory that exists, and of a `link` the file that gets another name. */
  pick: number;
  mode: number;
  owner: number;
  mtimeNs: bigint;
  content: Uint8Array;
  sparse: Sparse;
  /** Values of `user.test` and `trusted.test`. */
  attribute: Uint8Array | undefined;
  acl: boolean;
}

const byte = fc.oneof(
  fc.integer({ min: 1, max: 255 }),
  fc.constantFrom(0x2d, 0x20, 0x0a, 0x5c, 0x22, 0xff, 0xc3, 0x2a),
);
const name = fc
  .oneof(
    { weight: 6, arbitrary: fc.array(byte, { minLength: 1, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(byte, { minLength: 255, maxLength: 255 }) },
  )
  .map((bytes) => Buffer.from(bytes.map((b) => (b === 0x2f ? 0x5f : b))))
  .filter((bytes) => !/^\.{1,2}$/.test(bytes.toString('latin1')));

const sparse: fc.Arbitrary<Sparse> = fc
  .array(fc.record({ gap: fc.integer({ min: 1, max: 40 }), blocks: fc.integer({ min: 1, max: 4 }) }), { maxLength: 5 })
  .chain((runs) =>
    fc.integer({ min: 20, max: 4000 }).map((tail) => {
      let at = 0;
      const data = runs.map(({ gap, blocks }) => {
        at += gap * 65_536;
        const run = { at, bytes: blocks * 4096 };
        at += blocks * 4096;
        return run;
      });
      return { size: at + tail * 4096 + 7, data };
    }),
  );

const entry: fc.Arbitrary<RandomEntry> = fc.record({
  kind: fc.constantFrom(
    'file',
    'file',
    'file',
    'large',
    'sparse',
    'directory',
    'directory',
    'symlink',
    'fifo',
    'link',
    'link',
  ),
  name,
  pick: fc.nat(1000),
  mode: fc.nat(0o1777),
  owner: fc.nat(60_000),
  mtimeNs: fc.bigInt({ min: -(2n ** 31n) * 1_000_000_000n, max: 2n ** 33n * 1_000_000_000n }),
  content: fc.uint8Array({ maxLength: 3000 }),
  sparse,
  attribute: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined }),
  acl: fc.boolean(),
});

/** Entries of a tree, each placed in a directory before it. */
export const randomTrees: fc.Arbitrary<RandomEntry[]> = fc.uniqueArray(entry, {
  minLength: 12,
  maxLength: 30,
  selector: ({ name: bytes }) => bytes.toString('latin1'),
});

/** Makes the tree below `root`, which is made too. By the tools of the system, so that it does not depend on what is tested. */
export async function makeTree(root: string, tree: readonly RandomEntry[]): Promise<void> {
  await mkdir(root);
  const directories = [Buffer.from(root)];
  const files: Buffer[] = [];
  const finish: string[] = [];
  for (const one of tree) {
    const parent = directories[one.pick % directories.length] ?? Buffer.from(root);
    const path = Buffer.concat([parent, Buffer.from('/'), one.name]);
    const kind = one.kind === 'link' && files.length === 0 ? 'file' : one.kind;
    if (kind === 'link') {
      await link(files[one.pick % files.length] ?? path, path);
      continue;
    }
    if (kind === 'directory') {
      await mkdir(path);
      directories.push(path);
    } else if (kind === 'symlink') {
      await symlink(['nowhere', '.', '..', '/etc/passwd'][one.pick % 4] ?? '', path);
    } else if (kind === 'fifo') {
      execFileSync('bash', ['-c', `mkfifo ${quoted(path)}`]);
    } else {
      await makeFile(path, kind, one);
      files.push(path);
    }
    finish.unshift(...(await attributes(path, kind, one)));
  }
  finish.push(`touch -d @1600000000.123456789 ${quoted(Buffer.from(root))}`);
  execFileSync('bash', ['-e', '-c', finish.join('\n')], { stdio: 'pipe' });
}

async function makeFile(path: Buffer, kind: 'file' | 'large' | 'sparse', one: RandomEntry): Promise<void> {
  await using handle = await open(path, 'wx');
  const noise = (bytes: number): Buffer => Buffer.alloc(bytes, Buffer.concat([one.content, Buffer.of(1)]));
  if (kind === 'file') await handle.write(one.content);
  if (kind === 'large') await handle.write(noise(1_500_000 + one.pick));
  if (kind !== 'sparse') return;
  for (const { at, bytes } of one.sparse.data) await handle.write(noise(bytes), 0, bytes, at);
  await handle.truncate(one.sparse.size);
}

/** Sets modes and owners, and gives the commands for what is left: deepest first, times last. */
async function attributes(path: Buffer, kind: RandomEntry['kind'], one: RandomEntry): Promise<string[]> {
  const at = quoted(path);
  const commands: string[] = [];
  await lchown(path, one.owner, one.owner + 1);
  if (kind !== 'symlink') await chmod(path, one.mode);
  if (one.attribute) {
    const value = Buffer.from(one.attribute).toString('hex');
    // Attributes of users are for files and directories.
    if (kind !== 'symlink' && kind !== 'fifo') commands.push(`setfattr -n user.test -v 0x${value} ${at}`);
    commands.push(`setfattr -h -n trusted.test -v 0x${value} ${at}`);
  }
  if (one.acl && kind !== 'symlink') commands.push(`setfacl -m u:1234:rx,g:99:r ${at}`);
  if (one.acl && kind === 'directory') commands.push(`setfacl -d -m u:1234:rwx ${at}`);
  const second = 1_000_000_000n;
  const nanoseconds = ((one.mtimeNs % second) + second) % second;
  const seconds = (one.mtimeNs - nanoseconds) / second;
  commands.push(`touch -h -d @${seconds}.${String(nanoseconds).padStart(9, '0')} ${at}`);
  return commands;
}

/** A path for bash, whatever its bytes are. */
function quoted(path: Buffer): string {
  return `$'${[...path].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')}'`;
}

/** All extended attributes below a directory, ACLs included, as getfattr tells them. */
export function attributesBelow(directory: string): string[] {
  const text = execFileSync('getfattr', ['-R', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: directory,
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  return text.split('\n\n').sort();
}

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

export interface Command {
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
}

export interface Measurement {
  /** Wall time in seconds. */
  seconds: number;
  /** User and system time of all processes, in seconds; the kernel counts in hundredths. */
  cpuSeconds: number;
  /** Largest resident size of all processes together, in bytes, looked at 40 times a second. */
  peakBytes: number;
  stdout: string;
}

const LOOK_MS = 25;
const TICKS_PER_SECOND = 100;

/** Runs one command to its end and measures it with all its children. Throws with its output when it fails. */
export async function measure(command: Command): Promise<Measurement> {
  const [program, ...args] = command.argv;
  if (program === undefined) throw new RangeError('no command');
  const cpuBefore = waitedTicks();
  const started = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...process.env, ...command.env },
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => out.push(piece));
  child.stderr.on('data', (piece: Buffer) => err.push(piece));
  let peakBytes = 0;
  const timer = setInterval(() => {
    if (child.pid !== undefined) peakBytes = Math.max(peakBytes, residentBytes(child.pid));
  }, LOOK_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => {
    clearInterval(timer);
  });
  const seconds = (performance.now() - started) / 1000;
  const cpuSeconds = (waitedTicks() - cpuBefore) / TICKS_PER_SECOND;
  const stdout = Buffer.concat(out).toString('utf8');
  if (code !== 0) {
    const said = `${stdout}\n${Buffer.concat(err).toString('utf8')}`.trim().slice(-2000);
    throw new Error(`${command.argv.join(' ')} ended with ${String(code)}:\n${said}`);
  }
  return { seconds, cpuSeconds, peakBytes, stdout };
}

/** Times of the children that this process has waited for, and of theirs: fields 16 and 17 of proc(5) stat. */
function waitedTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[13]) + Number(fields[14]);
}

/** Pages of files, the program's own code above all, are there once for all processes: those of the one that has most count. */
function residentBytes(root: number): number {
  const parents = new Map<number, number>();
  const anonymous = new Map<number, number>();
  const ofFiles = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'latin1');
      const field = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
      parents.set(Number(name), field('PPid'));
      anonymous.set(Number(name), field('RssAnon'));
      ofFiles.set(Number(name), field('RssFile') + field('RssShmem'));
    } catch {
      // It ended meanwhile.
    }
  }
  const mine = [...parents.keys()].filter((pid) => descends(pid, root, parents));
  const sum = mine.reduce((total, pid) => total + (anonymous.get(pid) ?? 0), 0);
  return (sum + Math.max(0, ...mine.map((pid) => ofFiles.get(pid) ?? 0))) * 1024;
}

function descends(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at: number | undefined = pid, depth = 0; at !== undefined && depth < 64; at = parents.get(at), depth++) {
    if (at === root) return true;
  }
  return false;
}

/** Forgets the contents of files, so that the next reader goes to the disk. False where only root may. */
export function dropCaches(): boolean {
  spawnSync('sync');
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3\n');
    return true;
  } catch {
    return false;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Bytes that files below a directory take, by their sizes. */
export function bytesBelow(directory: string): number {
  const { stdout, status } = spawnSync('du', ['-sb', directory], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`du cannot read ${directory}`);
  return Number(stdout.split('\t')[0]);
}

/** Processors, memory, architecture and kernel. */
export function machineName(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${arch()}, Linux ${release()}`;
}

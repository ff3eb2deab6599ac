import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { modelled, type CurveName, type CurvePoint } from './curve-points.ts';
import { FILES_COMPONENTS, HALVES_COMPONENTS, makeHalves, makeSmallFiles } from './data.ts';
import { bytesBelow, dropCaches, measure, median, type Command } from './measure.ts';
import { ours, restic, type OurTool, type Place, type Tool } from './tools.ts';

export interface CurveOptions {
  scratch: string;
  root: string;
  cold: boolean;
  /** How often each point is measured; the medians count. */
  rounds: number;
  /** The largest size of each curve. */
  most: Readonly<Record<CurveName, number>>;
  /** How long backups are made for the curve of backups before it ends where it has come. */
  minutes: number;
  progress: (text: string) => void;
  /** What a reader of the curve has to know: why a point is not there, or not measured. */
  note: (text: string) => void;
}

const SIZES = {
  data: [0.1e9, 1e9, 10e9, 100e9],
  files: [1e3, 1e4, 1e5, 1e6],
  backups: [1, 10, 100, 1e3, 1e4],
} as const;

/** Beyond it, one command for each backup takes hours and says nothing new. */
const RESTIC_BACKUPS_MAX = 100;
/** The data, a repository that compresses nothing, and what was restored, with a tenth to spare. */
const ROOM = 3.3;

/** What is younger than two seconds when it is backed up is read again by the next backup: not what a night is like. */
const SETTLE_MS = 3000;

/** The points of one step of one tool at one size, once for each round. */
type Measured = CurvePoint[];

class Runner {
  readonly points: CurvePoint[] = [];
  readonly #options: CurveOptions;
  readonly #rounds = new Map<string, Measured>();

  constructor(options: CurveOptions) {
    this.#options = options;
  }

  async step(tool: Tool, step: string, x: number, commands: Command[], grows: boolean): Promise<void> {
    const before = grows ? bytesBelow(tool.repository) : 0;
    if (this.#options.cold) dropCaches();
    const total = { seconds: 0, cpuSeconds: 0, peakBytes: 0 };
    for (const command of commands) {
      const one = await measure(command);
      total.seconds += one.seconds;
      total.cpuSeconds += one.cpuSeconds;
      total.peakBytes = Math.max(total.peakBytes, one.peakBytes);
    }
    this.#options.progress(`${tool.name}: ${step} at ${x}: ${total.seconds.toFixed(2)} s`);
    const point: CurvePoint = { tool: tool.name, step, x, ...total, kind: 'measured' };
    if (grows) point.addedBytes = Math.max(0, bytesBelow(tool.repository) - before);
    const key = `${tool.name},${step},${x}`;
    this.#rounds.set(key, [...(this.#rounds.get(key) ?? []), point]);
  }

  /** Medians of what was measured since the last time. */
  settle(): void {
    for (const rounds of this.#rounds.values()) {
      const [first] = rounds;
      if (first === undefined) continue;
      const middle = (of: (point: CurvePoint) => number): number => median(rounds.map(of));
      this.points.push({
        ...first,
        seconds: middle((point) => point.seconds),
        cpuSeconds: middle((point) => point.cpuSeconds),
        peakBytes: middle((point) => point.peakBytes),
        ...(first.addedBytes === undefined ? {} : { addedBytes: middle((point) => point.addedBytes ?? 0) }),
      });
    }
    this.#rounds.clear();
  }
}

function emptied(directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** First backup, nothing changed and a restore, at each size. */
async function growing(
  curve: 'data' | 'files',
  options: CurveOptions,
  make: { data: (directory: string, size: number) => void; components: string; bytes: (size: number) => number },
): Promise<CurvePoint[]> {
  const run = new Runner(options);
  for (const x of SIZES[curve].filter((size) => size <= options.most[curve])) {
    const { bavail, bsize, ffree } = statfsSync(options.scratch);
    const [room, needed] = [bavail * bsize, make.bytes(x) * ROOM];
    if (room < needed || (curve === 'files' && ffree > 0 && ffree < 3 * x)) {
      const line = modelled(run.points, x);
      const what = line.length > 0 ? 'modelled' : 'left out';
      options.note(
        `${curve} at ${x}: ${what}, the disk has ${(room / 1e9).toFixed(0)} GB of ${(needed / 1e9).toFixed(0)} GB that it takes`,
      );
      run.points.push(...line);
      continue;
    }
    const source = join(options.scratch, curve);
    emptied(source);
    make.data(source, x);
    await setTimeout(SETTLE_MS);
    for (let round = 0; round < options.rounds; round++) {
      const tools = [(place: Place) => ours(place, make.components), (place: Place) => restic(place)];
      if (round % 2 === 1) tools.reverse();
      for (const of of tools) await growOne(run, options, of, source, x);
    }
    run.settle();
    rmSync(source, { recursive: true });
  }
  return run.points;
}

async function growOne(
  run: Runner,
  options: CurveOptions,
  of: (place: Place) => Tool | undefined,
  source: string,
  x: number,
): Promise<void> {
  // One repository and one restored copy at a time: the largest size has to fit.
  const home = emptied(join(options.scratch, 'curve-home'));
  const target = join(options.scratch, 'curve-restored');
  const tool = of({ home, source, root: options.root });
  if (tool === undefined) return;
  for (const command of tool.init()) await measure(command);
  await run.step(tool, 'first backup', x, tool.backup('first'), true);
  await run.step(tool, 'nothing changed', x, tool.backup('same'), true);
  await run.step(tool, 'restore', x, tool.restore('same', target), false);
  for (const path of [home, target]) rmSync(path, { recursive: true, force: true });
}

/** One more backup, the list, and a check that reads no data, beside so many other backups. */
async function beside(options: CurveOptions): Promise<CurvePoint[]> {
  const run = new Runner(options);
  const source = emptied(join(options.scratch, 'backups'));
  makeSmallFiles(source, 200);
  const home = (name: string): Place => ({
    home: emptied(join(options.scratch, `backups-${name}`)),
    source,
    root: options.root,
  });
  const own = ours(home('ours'), FILES_COMPONENTS);
  const peer = restic(home('restic'));
  for (const tool of [own, peer]) for (const command of tool?.init() ?? []) await measure(command);
  const file = join(source, 'data', '0', '0', '0.txt');
  const until = performance.now() + options.minutes * 60_000;
  let made = 0;
  for (const x of SIZES.backups.filter((size) => size <= options.most.backups)) {
    for (let i = made; i < Math.min(x, RESTIC_BACKUPS_MAX); i++) {
      writeFileSync(file, `before ${i}\n`);
      for (const command of peer?.backup(`b${i}`) ?? []) await measure(command);
    }
    while (made < x && performance.now() < until) {
      const seconds = (until - performance.now()) / 1000;
      made += await manyBackups(own, file, { first: made, count: Math.min(500, x - made), seconds });
      options.progress(`${made} backups made`);
    }
    if (made === 0) {
      options.note(`backups at ${x}: the time was over before one was made`);
      break;
    }
    if (made < x) {
      options.note(`backups at ${x}: ${made} were made in ${options.minutes} minutes, and measured instead`);
    }
    const tools = [own, made <= RESTIC_BACKUPS_MAX ? peer : undefined].filter((tool) => tool !== undefined);
    await measureBeside(run, options.rounds, tools, made, file);
    made += options.rounds;
    if (made < x) break;
  }
  if (peer !== undefined && options.most.backups > RESTIC_BACKUPS_MAX) {
    options.note(
      `restic is not measured above ${RESTIC_BACKUPS_MAX} backups: it has only its command line to make them`,
    );
  }
  for (const name of ['backups', 'backups-ours', 'backups-restic']) {
    rmSync(join(options.scratch, name), { recursive: true, force: true });
  }
  return run.points;
}

/** How many were made; fewer than asked for where the time was over. */
async function manyBackups(
  { config, env }: OurTool,
  file: string,
  { first, count, seconds }: { first: number; count: number; seconds: number },
): Promise<number> {
  const script = join(import.meta.dirname, 'many-backups-main.ts');
  const argv = [process.execPath, script, config, file, ...[first, count, seconds].map(String)];
  return Number((await measure({ argv, env })).stdout);
}

async function measureBeside(
  run: Runner,
  rounds: number,
  tools: readonly Tool[],
  made: number,
  file: string,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    writeFileSync(file, `beside ${made}, round ${round}\n`);
    for (const tool of tools) {
      await run.step(tool, 'one more backup', made, tool.backup(`more-${made}-${round}`), true);
      await run.step(tool, 'list', made, tool.list(), false);
      await run.step(tool, 'check without data', made, tool.checkWithoutData(), false);
    }
  }
  run.settle();
}

/** Measures one curve from its smallest size to the largest that is wanted. */
export function measureCurve(curve: CurveName, options: CurveOptions): Promise<CurvePoint[]> {
  switch (curve) {
    case 'data':
      return growing(curve, options, { data: makeHalves, components: HALVES_COMPONENTS, bytes: (size) => size });
    case 'files':
      // At most 4 kB each, which is one block of most disks.
      return growing(curve, options, {
        data: makeSmallFiles,
        components: FILES_COMPONENTS,
        bytes: (size) => size * 4096,
      });
    case 'backups':
      return beside(options);
  }
}

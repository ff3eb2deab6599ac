import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FILES_COMPONENTS, makeLargeFile, makeSample, makeSmallFiles, SAMPLE_COMPONENTS, spendDay } from './data.ts';
import { bytesBelow, dropCaches, measure, type Command, type Measurement } from './measure.ts';
import { borg, ours, restic, type Place, type Tool } from './tools.ts';

/** One figure of one tool in one round. */
export interface Sample {
  figure: string;
  tool: string;
  value: number;
  unit: 's' | 'CPU s' | 'bytes' | 'bytes of memory';
}

export interface Options {
  /** 1: as the tables of the documents have it. */
  scale: number;
  rounds: number;
  nights: number;
  /** A directory with room for about six times the data. */
  scratch: string;
  /** Root of this project. */
  root: string;
  cold: boolean;
  progress: (text: string) => void;
}

type Add = (figure: string, tool: Tool, measured: Measurement) => void;

/** The tools in another order in each step, so that none always comes first. */
function* rotated(tools: readonly Tool[], step: number): Generator<Tool> {
  for (let i = 0; i < tools.length; i++) {
    const tool = tools[(i + step) % tools.length];
    if (tool !== undefined) yield tool;
  }
}

class Round {
  readonly samples: Sample[] = [];
  readonly tools: readonly Tool[];
  readonly #options: Options;
  readonly #name: string;
  #step: number;

  constructor(options: Options, name: string, place: { source: string; components: string }, round: number) {
    this.#options = options;
    this.#name = name;
    this.#step = round;
    const home = (tool: string): Place => {
      const directory = join(options.scratch, `${name}-${tool}`);
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory, { recursive: true });
      return { home: directory, source: place.source, root: options.root };
    };
    const peers = [restic(home('restic')), borg(home('borg'))].filter((tool) => tool !== undefined);
    this.tools = [ours(home('ours'), place.components), ...peers];
  }

  async silently(commands: (tool: Tool) => Command[]): Promise<void> {
    for (const tool of this.tools) for (const command of commands(tool)) await measure(command);
  }

  /** All tools do the same, one after the other, on the same files. */
  async step(figure: string, commands: (tool: Tool) => Command[], after?: (tool: Tool) => void): Promise<void> {
    this.#step++;
    for (const tool of rotated(this.tools, this.#step)) {
      const list = commands(tool);
      if (this.#options.cold) dropCaches();
      const total: Measurement = { seconds: 0, cpuSeconds: 0, peakBytes: 0, stdout: '' };
      for (const command of list) {
        const one = await measure(command);
        total.seconds += one.seconds;
        total.cpuSeconds += one.cpuSeconds;
        total.peakBytes = Math.max(total.peakBytes, one.peakBytes);
      }
      this.#options.progress(`${this.#name}: ${figure}: ${tool.name} ${total.seconds.toFixed(2)} s`);
      this.#add(figure, tool, total);
      after?.(tool);
    }
  }

  readonly #add: Add = (figure, tool, { seconds, cpuSeconds, peakBytes }) => {
    this.samples.push({ figure, tool: tool.name, value: seconds, unit: 's' });
    this.samples.push({ figure: `${figure}, processor`, tool: tool.name, value: cpuSeconds, unit: 'CPU s' });
    this.samples.push({ figure: `${figure}, memory`, tool: tool.name, value: peakBytes, unit: 'bytes of memory' });
  };

  bytes(figure: string, tool: Tool, value: number): void {
    this.samples.push({ figure, tool: tool.name, value, unit: 'bytes' });
  }

  end(): void {
    for (const tool of ['ours', 'restic', 'borg']) {
      rmSync(join(this.#options.scratch, `${this.#name}-${tool}`), { recursive: true, force: true });
    }
  }
}

/**
 * What is younger than two seconds could change again without a trace, and is read once more by the backup after the next. Nobody
 * backs up in the second in which a day's work ends.
 */
const aged = (): Promise<void> => setTimeout(AGED_MS);
const AGED_MS = 3000;

/** First backup, nothing changed, ten nights, restore, check, cleanup of the FoodSave sample. */
export async function sampleWorkload(options: Options, round: number): Promise<Sample[]> {
  const source = join(options.scratch, 'sample');
  rmSync(source, { recursive: true, force: true });
  makeSample(source, options.scale);
  await aged();
  options.progress(`sample: ${(bytesBelow(join(source, 'data')) / 1e6).toFixed(0)} MB of data`);
  const run = new Round(options, 'sample', { source, components: SAMPLE_COMPONENTS }, round);
  const made = ['first'];
  await run.silently((tool) => tool.init());
  await run.step(
    'first backup',
    (tool) => tool.backup('first'),
    (tool) => {
      run.bytes('size after the first backup', tool, bytesBelow(tool.repository));
    },
  );
  await run.step('nothing changed', (tool) => tool.backup('same'));
  made.push('same');
  const before = new Map(run.tools.map((tool) => [tool, 0]));
  for (let night = 1; night <= options.nights; night++) {
    spendDay(source, night);
    await aged();
    const label = `night-${night}`;
    for (const tool of run.tools) before.set(tool, bytesBelow(tool.repository));
    await run.step(
      'nightly backup',
      (tool) => tool.backup(label),
      (tool) => {
        run.bytes('nightly backup, bytes added', tool, bytesBelow(tool.repository) - (before.get(tool) ?? 0));
      },
    );
    made.push(label);
  }
  spendDay(source, options.nights + 1);
  await aged();
  await run.step('nightly backup with verification', (tool) => tool.backupAndVerify('verified'));
  made.push('verified');
  const target = (tool: Tool): string => join(options.scratch, `sample-restored-${tool.name}`);
  await run.step(
    'restore of all',
    (tool) => tool.restore('verified', target(tool)),
    (tool) => {
      if (statSync(target(tool)).isDirectory()) rmSync(target(tool), { recursive: true, force: true });
    },
  );
  await run.step('check of all data', (tool) => tool.check());
  await run.step(
    'cleanup that frees half',
    (tool) => tool.keep(Math.ceil(made.length / 2), made),
    (tool) => {
      run.bytes('size after cleanup', tool, bytesBelow(tool.repository));
    },
  );
  run.end();
  rmSync(source, { recursive: true, force: true });
  return run.samples;
}

/** First backup, nothing changed and restore of plain files. */
async function filesWorkload(
  options: Options,
  round: number,
  name: string,
  make: (directory: string) => void,
): Promise<Sample[]> {
  const source = join(options.scratch, name);
  rmSync(source, { recursive: true, force: true });
  make(source);
  await aged();
  const run = new Round(options, name, { source, components: FILES_COMPONENTS }, round);
  await run.silently((tool) => tool.init());
  await run.step(
    `${name}: first backup`,
    (tool) => tool.backup('first'),
    (tool) => {
      run.bytes(`${name}: size after the first backup`, tool, bytesBelow(tool.repository));
    },
  );
  await run.step(`${name}: nothing changed`, (tool) => tool.backup('same'));
  const target = (tool: Tool): string => join(options.scratch, `${name}-restored-${tool.name}`);
  await run.step(
    `${name}: restore`,
    (tool) => tool.restore('same', target(tool)),
    (tool) => {
      rmSync(target(tool), { recursive: true, force: true });
    },
  );
  run.end();
  rmSync(source, { recursive: true, force: true });
  return run.samples;
}

export const smallFilesWorkload = (options: Options, round: number): Promise<Sample[]> =>
  filesWorkload(options, round, 'small files', (directory) => {
    makeSmallFiles(directory, Math.max(100, Math.round(200_000 * options.scale)));
  });

export const largeFileWorkload = (options: Options, round: number): Promise<Sample[]> =>
  filesWorkload(options, round, 'large file', (directory) => {
    makeLargeFile(directory, Math.round(10e9 * options.scale));
  });

/** Many backups in one repository: what a question and an unchanged backup cost then. */
export async function manyBackupsWorkload(options: Options, round: number): Promise<Sample[]> {
  const source = join(options.scratch, 'many');
  rmSync(source, { recursive: true, force: true });
  makeSmallFiles(source, 200);
  const count = Math.max(20, Math.round(1000 * options.scale));
  const run = new Round(options, 'many', { source, components: FILES_COMPONENTS }, round);
  await run.silently((tool) => tool.init());
  for (let i = 0; i < count; i++) {
    await run.silently((tool) => tool.backup(`b${i}`));
    if (i % 100 === 99) options.progress(`many: ${i + 1} of ${count} backups`);
  }
  await run.step(`list of ${count} backups`, (tool) => tool.list());
  await run.step(`backup beside ${count} others`, (tool) => tool.backup('last'));
  run.end();
  rmSync(source, { recursive: true, force: true });
  return run.samples;
}

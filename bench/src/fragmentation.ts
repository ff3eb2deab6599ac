import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeSample, SAMPLE_COMPONENTS, spendDay } from './data.ts';
import { bytesBelow, dropCaches, measure } from './measure.ts';
import { ours, restic, type Place, type Tool } from './tools.ts';
import type { Options, Sample } from './workloads.ts';

/** So many of the newest backups stay each night. */
const KEPT = 7;

/**
 * What age does to a repository: after many nights with a cleanup each, its size and the time of restoring the newest
 * backup, beside a fresh repository with the same backups. The test in acceptance counts what is read instead.
 */
export async function fragmentationWorkload(options: Options, round: number): Promise<Sample[]> {
  const place = (name: string): string => join(options.scratch, `fragmentation-${name}`);
  const source = place('sample');
  for (const name of ['sample', 'states', 'ours', 'restic']) {
    rmSync(place(name), { recursive: true, force: true });
    mkdirSync(place(name), { recursive: true });
  }
  rmSync(source, { recursive: true });
  makeSample(source, options.scale);
  const samples: Sample[] = [];
  const tools = [(at: Place) => ours(at, SAMPLE_COMPONENTS), (at: Place) => restic(at)];
  const opened = (name: string): Tool[] =>
    tools.flatMap((of, i) => {
      const home = join(place(i === 0 ? 'ours' : 'restic'), name);
      mkdirSync(home);
      return of({ home, source, root: options.root }) ?? [];
    });
  const old = opened('old');
  for (const tool of old) for (const command of tool.init()) await measure(command);
  const made: string[] = [];
  for (let night = 1; night <= options.nights; night++) {
    spendDay(source, night);
    const label = `night-${night}`;
    made.push(label);
    copy(join(source, 'data'), join(place('states'), label));
    for (const tool of old) {
      for (const command of [...tool.backup(label), ...tool.keep(KEPT, made)]) await measure(command);
    }
    for (const gone of made.splice(0, Math.max(0, made.length - KEPT))) {
      rmSync(join(place('states'), gone), { recursive: true });
    }
    if (night % 10 === 0) options.progress(`fragmentation: ${night} of ${options.nights} nights`);
  }
  const fresh = opened('fresh');
  for (const tool of fresh) for (const command of tool.init()) await measure(command);
  for (const label of made) {
    rmSync(join(source, 'data'), { recursive: true });
    renameSync(join(place('states'), label), join(source, 'data'));
    for (const tool of fresh) for (const command of tool.backup(label)) await measure(command);
  }
  const newest = made.at(-1) ?? '';
  const ages = [
    ['aged', old],
    ['fresh', fresh],
  ] as const;
  for (const [age, list] of round % 2 === 0 ? ages : [...ages].reverse()) {
    for (const tool of list) {
      if (options.cold) dropCaches();
      let value = 0;
      for (const command of tool.restore(newest, place('restored'))) value += (await measure(command)).seconds;
      rmSync(place('restored'), { recursive: true, force: true });
      samples.push({ figure: `restore of the newest, ${age} repository`, tool: tool.name, value, unit: 's' });
      const bytes = bytesBelow(tool.repository);
      samples.push({ figure: `size, ${age} repository`, tool: tool.name, value: bytes, unit: 'bytes' });
      options.progress(
        `fragmentation: ${tool.name}, ${age}: restore ${value.toFixed(2)} s, ${(bytes / 1e6).toFixed(1)} MB`,
      );
    }
  }
  for (const name of ['sample', 'states', 'ours', 'restic']) rmSync(place(name), { recursive: true, force: true });
  return samples;
}

/** With times and inodes apart, as a copy of a directory is. */
function copy(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cp failed: ${stderr}`);
}

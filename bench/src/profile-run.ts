import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeSample, SAMPLE_COMPONENTS, spendDay } from './data.ts';
import { bytesBelow, measure, type Command } from './measure.ts';
import { profileTables, summarizeProfiles } from './profile.ts';
import { ours } from './tools.ts';

const HELP = `Usage: npm run bench -- profile [DIR] [options]

Where the time goes, by thread and function. Without DIR: profiles a first backup, a nightly backup and a restore of the
FoodSave sample with the profiler of V8, each thread of it. With DIR: sums up the .cpuprofile files in it. The process that
reads SQLite ends by a kill and leaves no profile: its time is in the processor time of the step only.

  --scale N          1 (default) is the FoodSave sample at about 750 MB
  --keep DIR         where the .cpuprofile files stay, one folder a step; Chrome's developer tools open them
  --scratch DIR      where the data is made (default: a temporary directory)

The profile of any command: NODE_OPTIONS="--cpu-prof --cpu-prof-dir=DIR" bin/foodsave-backup create
`;

/** `npm run bench -- profile`. A profile slows a run down: times come from the bench, shares from here. */
export async function profileMain(argv: readonly string[], root: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1' },
      keep: { type: 'string' },
      scratch: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [directory] = positionals;
  if (values.help) process.stdout.write(HELP);
  else if (directory !== undefined) process.stdout.write(`${profileTables(summarizeProfiles(directory))}\n`);
  else await profileSample(root, Number(values.scale), values);
  return 0;
}

async function profileSample(root: string, scale: number, to: { keep?: string; scratch?: string }): Promise<void> {
  if (!(scale > 0)) throw new Error('--scale is not a number above zero');
  const scratch = mkdtempSync(join(resolve(to.scratch ?? tmpdir()), 'foodsave-profile-'));
  try {
    const [source, home] = [join(scratch, 'sample'), join(scratch, 'home')];
    mkdirSync(home);
    makeSample(source, scale);
    process.stdout.write(`${(bytesBelow(join(source, 'data')) / 1e6).toFixed(0)} MB of data\n`);
    const tool = ours({ home, source, root }, SAMPLE_COMPONENTS);
    for (const command of tool.init()) await measure(command);
    const step = async (name: string, commands: Command[]): Promise<void> => {
      const folder = join(resolve(to.keep ?? scratch), name.replaceAll(' ', '-'));
      mkdirSync(folder, { recursive: true });
      const NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${folder}`;
      process.stdout.write(`\n## ${name}\n\n`);
      for (const command of commands) {
        const { seconds, cpuSeconds } = await measure({ ...command, env: { ...command.env, NODE_OPTIONS } });
        process.stdout.write(`${seconds.toFixed(2)} s, processor time of all processes ${cpuSeconds.toFixed(2)} s\n\n`);
      }
      process.stdout.write(`${profileTables(summarizeProfiles(folder))}\n`);
    };
    await step('first backup', tool.backup('first'));
    spendDay(source, 1);
    await step('nightly backup', tool.backup('nightly'));
    await step('restore', tool.restore('nightly', join(scratch, 'restored')));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

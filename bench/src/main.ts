import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { curvesMain } from './curves.ts';
import { fragmentationWorkload } from './fragmentation.ts';
import { limitLines, machineLimits } from './limits.ts';
import { dropCaches, machineName } from './measure.ts';
import { profileMain } from './profile-run.ts';
import { positive } from './options.ts';
import { summarize, table } from './report.ts';
import { serverWorkload } from './server.ts';
import { borg, restic } from './tools.ts';
import {
  largeFileWorkload,
  manyBackupsWorkload,
  sampleWorkload,
  smallFilesWorkload,
  type Options,
  type Sample,
} from './workloads.ts';

const HELP = `Usage: npm run bench -- [options]
       npm run bench -- curves [options]     cost against data, files and backups
       npm run bench -- profile [options]    where the time goes

Measures this project beside restic and Borg, on the same files, in one run: encryption and zstd on, defaults as shipped.
The order alternates, every step is repeated, medians are shown. As root, caches are dropped before each step.

  --scale N          1 (default) is the FoodSave sample at about 750 MB
  --rounds N         how often everything is repeated (default 3)
  --nights N         nightly backups a round (default 10)
  --only A,B         of: sample, small-files, large-file, many-backups, server, fragmentation (default: sample)
  --scratch DIR      where the data is made (default: a temporary directory)
  --json FILE        every value as JSON
  --warm             do not drop caches
`;

const WORKLOADS = {
  sample: sampleWorkload,
  'small-files': smallFilesWorkload,
  'large-file': largeFileWorkload,
  'many-backups': manyBackupsWorkload,
  server: serverWorkload,
  fragmentation: fragmentationWorkload,
} as const;

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      scale: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      nights: { type: 'string', default: '10' },
      only: { type: 'string', default: 'sample' },
      scratch: { type: 'string' },
      json: { type: 'string' },
      warm: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

function missingPeers(root: string, scratch: string): string[] {
  const place = { home: scratch, source: scratch, root };
  return [
    restic(place) === undefined ? 'restic' : undefined,
    borg(place) === undefined ? 'borg (Debian: borgbackup)' : undefined,
  ].filter((name) => name !== undefined);
}

async function main(argv: readonly string[], root: string): Promise<number> {
  const [mode, ...rest] = argv;
  if (mode === 'curves') return curvesMain(rest, root);
  if (mode === 'profile') return profileMain(rest, root);
  const values = parse(argv);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const scratch = mkdtempSync(join(resolve(values.scratch ?? tmpdir()), 'foodsave-bench-'));
  try {
    const cold = !values.warm && dropCaches();
    const options: Options = {
      scale: positive('scale', values.scale),
      rounds: positive('rounds', values.rounds),
      nights: positive('nights', values.nights),
      ...{ scratch, root, cold },
      progress: (text) => process.stderr.write(`${text}\n`),
    };
    for (const peer of missingPeers(root, scratch)) process.stderr.write(`${peer} is not installed: not measured\n`);
    const samples: Sample[] = [];
    for (const name of values.only.split(',')) {
      const workload = Object.entries(WORKLOADS).find(([key]) => key === name)?.[1];
      if (workload === undefined) throw new Error(`--only knows ${Object.keys(WORKLOADS).join(', ')}, not ${name}`);
      for (let round = 0; round < options.rounds; round++) samples.push(...(await workload(options, round)));
    }
    const figures = summarize(samples);
    const limits = await machineLimits(scratch);
    const machine = machineName();
    const about = { at: new Date().toISOString(), machine, scale: options.scale, rounds: options.rounds, cold };
    process.stdout.write(`${table(figures, [...new Set(samples.map(({ tool }) => tool))])}\n\n`);
    process.stdout.write(
      `${about.at} · ${machine} · scale ${options.scale} · ${options.rounds} rounds · ${cold ? 'cold' : 'warm'} caches\n`,
    );
    process.stdout.write(limitLines(limits));
    if (values.json !== undefined) {
      writeFileSync(values.json, `${JSON.stringify({ ...about, limits, figures }, null, 2)}\n`);
    }
    return 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2), resolve(import.meta.dirname, '..', '..'));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

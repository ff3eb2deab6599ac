import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCurve } from './curve-measure.ts';
import { picturesOf } from './curve-pictures.ts';
import { CURVES, fromCsv, toCsv, type CurveName } from './curve-points.ts';
import { limitLines, machineLimits } from './limits.ts';
import { dropCaches, machineName } from './measure.ts';
import { positive } from './options.ts';
import { ours, restic } from './tools.ts';

const HELP = `Usage: npm run bench -- curves [options]

Cost curves: time, memory and bytes added against data, number of files and number of backups, ours and restic where it is
installed. Writes <curve>.csv, about.json (date, machine, versions, limits, notes) and <curve>-<time|memory|added>.svg.

  --only A,B         of: data, files, backups (default: all)
  --max-bytes N      largest size of the curve of data (default 100e9); a size that the disk has no room for is modelled
  --max-files N      largest number of files (default 1e6)
  --max-backups N    largest number of backups (default 10000)
  --minutes N        how long backups are made for the curve of backups (default 60)
  --rounds N         how often each point is measured; the medians count (default 1)
  --out DIR          where the results go (default docs/performance)
  --scratch DIR      where the data is made (default: a temporary directory)
  --draw-only        measure nothing: draw the SVG files anew from the CSV files in --out
  --warm             do not drop caches

A run of a minute: npm run bench -- curves --max-bytes 1e8 --max-files 1000 --max-backups 10 --out /tmp/curves
`;

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: Object.keys(CURVES).join(',') },
      'max-bytes': { type: 'string', default: '100e9' },
      'max-files': { type: 'string', default: '1e6' },
      'max-backups': { type: 'string', default: '10000' },
      minutes: { type: 'string', default: '60' },
      rounds: { type: 'string', default: '1' },
      out: { type: 'string' },
      scratch: { type: 'string' },
      'draw-only': { type: 'boolean', default: false },
      warm: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

function curveNames(text: string): CurveName[] {
  const known = Object.keys(CURVES) as CurveName[];
  return text.split(',').map((name) => {
    const curve = known.find((one) => one === name);
    if (curve === undefined) throw new Error(`--only knows ${known.join(', ')}, not ${name}`);
    return curve;
  });
}

/** Draws each curve whose CSV file is in the directory. The names of the files that were written. */
export function drawCurves(directory: string, names: readonly CurveName[]): string[] {
  const written: string[] = [];
  for (const curve of names) {
    const points = fromCsv(curve, readFileSync(join(directory, `${curve}.csv`), 'utf8'));
    for (const [name, svg] of picturesOf(curve, points)) {
      writeFileSync(join(directory, name), svg);
      written.push(name);
    }
  }
  return written;
}

/** What about.json says of each curve: a curve that is measured alone leaves what is said of the others. */
interface About {
  limits?: Record<string, number>;
  curves: Partial<Record<CurveName, Record<string, unknown>>>;
}

function aboutIn(path: string): About {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as About;
  } catch {
    return { curves: {} };
  }
}

async function measureAll(
  values: ReturnType<typeof parse>,
  names: readonly CurveName[],
  place: { out: string; root: string; scratch: string },
): Promise<void> {
  const { out, root, scratch } = place;
  const rounds = positive('rounds', values.rounds);
  const cold = !values.warm && dropCaches();
  const peer = restic({ home: scratch, source: scratch, root });
  const own = ours({ home: scratch, source: scratch, root }, '');
  const versions = { [own.name]: own.version, ...(peer === undefined ? {} : { restic: peer.version }) };
  if (peer === undefined) process.stderr.write('restic is not installed: not measured\n');
  const most = {
    data: positive('max-bytes', values['max-bytes']),
    files: positive('max-files', values['max-files']),
    backups: positive('max-backups', values['max-backups']),
  };
  const about = aboutIn(join(out, 'about.json'));
  for (const curve of names) {
    const notes: string[] = [];
    // Of the minute before, over all processors: above zero, something else was running too.
    const load = Number((loadavg()[0] ?? 0).toFixed(2));
    const points = await measureCurve(curve, {
      ...{ scratch, root, cold, rounds, most, minutes: positive('minutes', values.minutes) },
      progress: (text) => process.stderr.write(`${curve}: ${text}\n`),
      note: (text) => {
        process.stderr.write(`${text}\n`);
        notes.push(text);
      },
    });
    // Written after each curve: a run of hours that is broken off leaves what it has.
    writeFileSync(join(out, `${curve}.csv`), toCsv(curve, points));
    const at = new Date().toISOString();
    about.curves[curve] = { at, machine: machineName(), load, versions, rounds, caches: cold ? 'cold' : 'warm', notes };
    writeFileSync(join(out, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
  }
  about.limits = await machineLimits(scratch);
  process.stdout.write(limitLines(about.limits));
  writeFileSync(join(out, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
}

/** `npm run bench -- curves`. */
export async function curvesMain(argv: readonly string[], root: string): Promise<number> {
  const values = parse(argv);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const names = curveNames(values.only);
  const out = resolve(values.out ?? join(root, 'docs', 'performance'));
  mkdirSync(out, { recursive: true });
  if (!values['draw-only']) {
    const scratch = mkdtempSync(join(resolve(values.scratch ?? tmpdir()), 'foodsave-curves-'));
    try {
      await measureAll(values, names, { out, root, scratch });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  for (const name of drawCurves(out, names)) process.stdout.write(`${join(out, name)}\n`);
  return 0;
}

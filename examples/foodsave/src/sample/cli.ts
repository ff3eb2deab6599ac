import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { databasePath, generateSample } from './generate.ts';
import type { SampleReport } from './generate.ts';
import { writeLive } from './live.ts';
import { updateRandomRows } from './mutate.ts';
import { SampleError } from './options.ts';
import type { SampleOptions } from './options.ts';

const HELP = `Usage: npm run sample -- DIR [options]

Makes the FoodSave AI sample in DIR: a SQLite database, photographs, documents, configuration, a FAISS index
and a backup.yaml that protects them.

  --seed TEXT            other data; the same seed gives the same bytes (default: foodsave)
  --scale N              size of everything; 1 is a database of 2.5 MB (default), 124 of 250 MB, 496 of 1 GB
  --database-size SIZE   instead of --scale: 250MB, 1GB, 64MiB, or bytes
  --documents N, --photos N, --vectors N
                         how many of them, whatever the scale
  --update-rows PERCENT  change so many percent of the rows of receipt_items at random (with --seed), and end
  --live                 keep committing numbered transactions until stopped; prints "committed <seq>"
  --rate N               with --live: transactions a second (default 400)
  --seconds N            with --live: stop by itself
  --help                 this text

With --live and --update-rows, data that is in DIR already is used as it is.

Examples:
  npm run sample -- demo
  npm run sample -- /tmp/big --database-size 1GB
  npm run sample -- demo --live --seconds 30
`;

const OPTIONS = {
  seed: { type: 'string' },
  scale: { type: 'string' },
  'database-size': { type: 'string' },
  documents: { type: 'string' },
  photos: { type: 'string' },
  vectors: { type: 'string' },
  'update-rows': { type: 'string' },
  live: { type: 'boolean', default: false },
  rate: { type: 'string' },
  seconds: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
};

function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? '?').toUpperCase()];
  if (match === null || unit === undefined) {
    throw new SampleError(`--database-size is not a size: ${text}`, 'write it like 250MB, 1GB or 64MiB');
  }
  return Number(match[1]) * unit;
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    throw new SampleError(`--${name} is not a number above zero: ${text}`, `write it like --${name} 10`);
  }
  return value;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new SampleError(error instanceof Error ? error.message : String(error), 'see npm run sample -- --help');
  }
}

/** The options that were given: one that was not stays away instead of being undefined. */
function sampleOptions(values: ReturnType<typeof parse>['values']): SampleOptions {
  const options: SampleOptions = {};
  if (values.seed !== undefined) options.seed = values.seed;
  if (values['database-size'] !== undefined) options.databaseBytes = bytesOf(values['database-size']);
  for (const name of ['scale', 'documents', 'photos', 'vectors'] as const) {
    const value = numberOf(name, values[name]);
    if (value !== undefined) options[name] = value;
  }
  return options;
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function printReport(report: SampleReport, seconds: number): void {
  process.stdout.write(`The FoodSave AI sample is in ${report.directory} (${seconds.toFixed(1)} s)\n`);
  for (const [name, part] of Object.entries(report.parts)) {
    const files = part.files === 1 ? '1 file' : `${String(part.files)} files`;
    process.stdout.write(`  data/${name.padEnd(14)} ${sizeText(part.bytes).padStart(10)}  ${files}\n`);
  }
  const { sizes } = report;
  process.stdout.write(
    `  ${String(sizes.receipts)} receipts, ${String(sizes.products)} products, ${String(sizes.recipes)} recipes, ${String(sizes.vectors)} vectors\n`,
  );
}

async function live(database: string, values: ReturnType<typeof parse>['values']): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  // Whoever read our lines is gone: without a reader the writer would live on unseen.
  process.stdout.on('error', onSignal);
  const rate = numberOf('rate', values.rate);
  const seconds = numberOf('seconds', values.seconds);
  const started = performance.now();
  const committed = await writeLive(database, {
    ...(rate === undefined ? {} : { rate }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(values.seed === undefined ? {} : { seed: values.seed }),
    signal: stop.signal,
    onCommitted: (seq) => process.stdout.write(`committed ${String(seq)}\n`),
  });
  const took = (performance.now() - started) / 1000;
  process.stderr.write(
    `${String(committed)} transactions in ${took.toFixed(1)} s, ${(committed / took).toFixed(0)} a second\n`,
  );
}

/** Answers the exit code: 0 done, 1 failed, 2 usage. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const [directory] = positionals;
    if (directory === undefined || positionals.length !== 1) {
      throw new SampleError('exactly one directory is needed', 'see npm run sample -- --help');
    }
    const database = databasePath(directory);
    const percent = numberOf('update-rows', values['update-rows']);
    const reuse = values.live || percent !== undefined;
    if (!(reuse && existsSync(database))) {
      const started = performance.now();
      printReport(generateSample(directory, sampleOptions(values)), (performance.now() - started) / 1000);
    }
    if (percent !== undefined) {
      process.stdout.write(
        `changed ${String(updateRandomRows(database, percent, values.seed))} rows of receipt_items\n`,
      );
    }
    if (values.live) await live(database, values);
    return 0;
  } catch (error) {
    process.stderr.write(`sample: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof SampleError) process.stderr.write(`  ${error.hint}\n`);
    return error instanceof SampleError ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));

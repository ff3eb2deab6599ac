import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { writeDatabase } from './database.ts';
import { writeDocuments } from './documents.ts';
import type { TextSource } from './documents.ts';
import { SampleError, sizesOf } from './options.ts';
import type { SampleOptions, SampleSizes } from './options.ts';
import { writePhotos } from './photos.ts';
import { Random } from './random.ts';
import { BACKUP_YAML, writeSettings } from './settings.ts';
import { LAST_MOMENT } from './texts.ts';
import { writeVectors } from './vectors.ts';

/** Files, without directories, and their bytes. A link counts as a file of no bytes. */
export interface Measured {
  files: number;
  bytes: number;
}

export interface SampleReport {
  /** Absolute. */
  directory: string;
  /** Absolute path of the SQLite file. */
  database: string;
  sizes: SampleSizes;
  /** By folder below `data/`; the database under its own name. */
  parts: Record<string, Measured>;
  /** The made-up secrets in `data/config/.env`: what must never show up in a log or a manifest. */
  secrets: string[];
}

/** The sample's database in `directory`. */
export function databasePath(directory: string): string {
  return join(resolve(directory), 'data', 'foodsave.db');
}

/**
 * Writes the sample into `directory` (made when missing): `data/` and `backup.yaml`. The same options give the same
 * bytes, names, modes and times (but the database file's own). Blocks the thread until it is done. `data/` appears whole or not at all; a `backup.yaml` that is there already is kept.
 *
 * @throws SampleError when an option is not usable or `data/` is there already
 */
export function generateSample(directory: string, options: SampleOptions = {}): SampleReport {
  const sizes = sizesOf(options);
  const root = resolve(directory);
  const data = join(root, 'data');
  if (existsSync(data)) {
    throw new SampleError(`there is data in ${data} already`, 'choose another directory, or remove that one first');
  }
  const staging = join(root, '.data.partial');
  mkdirSync(root, { recursive: true });
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging);
  try {
    const random = new Random(`foodsave-sample-1/${options.seed ?? 'foodsave'}`);
    const contents = writeDatabase(join(staging, 'foodsave.db'), sizes, random.fork('database'));
    writePhotos(staging, contents.photos, sizes.photos, random.fork('photos'));
    const documents = writeDocuments(staging, sizes.documents, random.fork('documents'));
    const secrets = writeSettings(staging, random.fork('settings'));
    const recipes = contents.recipes.map((recipe, index): TextSource => ({
      id: `recipe:${String(index + 1)}`,
      title: recipe.title,
      text: `${recipe.ingredients}\n${recipe.steps}`,
    }));
    writeVectors(staging, [...recipes, ...documents], sizes.vectors, random.fork('vectors'));
    const parts = finish(staging);
    renameSync(staging, data);
    if (!existsSync(join(root, 'backup.yaml'))) writeFileSync(join(root, 'backup.yaml'), BACKUP_YAML);
    return { directory: root, database: databasePath(root), sizes, parts, secrets };
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    throw error;
  }
}

/** Fixes modes and times of the directories, now that nothing is added to them, and measures what is in them. */
function finish(data: string): Record<string, Measured> {
  const parts: Record<string, Measured> = {};
  for (const name of readdirSync(data).sort()) {
    const part: Measured = { files: 0, bytes: 0 };
    measure(join(data, name), part);
    parts[name] = part;
  }
  chmodSync(data, 0o755);
  return parts;
}

function measure(path: string, part: Measured): void {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) {
    part.files += 1;
    part.bytes += stat.isFile() ? stat.size : 0;
    return;
  }
  for (const name of readdirSync(path)) measure(join(path, name), part);
  chmodSync(path, 0o755);
  utimesSync(path, LAST_MOMENT, LAST_MOMENT);
}

import { join } from 'node:path';
import { Damage, EXIT, RecoverError } from './errors.ts';
import {
  base64,
  checkFormat,
  isJson,
  optionalCount,
  parseJson,
  readChecked,
  readSmallFile,
  text,
  type Json,
} from './json-file.ts';
import { listFolder } from './packs.ts';
import type { Repository } from './repository.ts';
import { MAX_CONTENT, OBJECT, openSealed, type Keys } from './sealed.ts';

/** The private part is bounded by the format; in base64, with the public part beside it. */
const MAX_MANIFEST = Math.ceil((MAX_CONTENT * 4) / 3) + 16 * 1024 * 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const RESERVED = new Set(
  (
    'repository keys database files config vector_store custom meta index manifests notes locks ' +
    'recovery recover quarantine parity state tmp latest con prn aux nul'
  ).split(' '),
);

interface Instance {
  readonly name: string;
  /** Id of the root tree node; undefined when the component failed. */
  readonly root: Buffer | undefined;
  readonly status: string;
  readonly error: string;
}

/** What the private part says. */
export interface Details {
  readonly status: string;
  readonly application: string;
  readonly instances: readonly Instance[];
}

export interface Backup {
  readonly name: string;
  /** The second copy exists: the backup was acknowledged. */
  readonly confirmed: boolean;
  /** What is wrong with the manifest's copies. */
  readonly damage: readonly string[];
  /** The manifest, from whichever copy is good; undefined when none is. */
  readonly manifest: Json | undefined;
  /** False when no key was given: nothing but the form of the manifest was checked. */
  readonly checked: boolean;
}

/** All backups of a repository, oldest first, those without a readable manifest last. */
export function listBackups(repository: Repository, keys: Keys | undefined): Backup[] {
  const names = new Set([
    ...manifestNames(repository.directory),
    ...manifestNames(join(repository.directory, 'manifests')),
  ]);
  const backups = [...names].sort().map((name) => readBackup(repository, keys, name));
  const time = (backup: Backup): string =>
    backup.manifest ? text(backup.manifest, 'createdAt', backup.name) : '\uffff';
  return backups.sort((a, b) => (time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0));
}

/** The backup of that name; a name that differs only in case is the same. */
export function findBackup(repository: Repository, keys: Keys, name: string): Backup {
  const backups = listBackups(repository, keys);
  const same = backups.filter((backup) => backup.name.toLowerCase() === name.toLowerCase());
  const found = same.find((backup) => backup.name === name) ?? same[0];
  if (!found) {
    const names = backups.map((backup) => backup.name).slice(-10);
    throw new RecoverError(
      EXIT.failed,
      `There is no backup named ${name}`,
      names.length === 0
        ? 'This repository holds no backup.'
        : `Run "list" to see all. The newest: ${names.reverse().join(', ')}.`,
    );
  }
  return found;
}

function manifestNames(folder: string): string[] {
  return listFolder(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((name) => NAME.test(name) && !RESERVED.has(name.toLowerCase()) && !RESERVED.has(stem(name)));
}

function stem(name: string): string {
  return (name.split('.')[0] ?? '').toLowerCase();
}

interface Copy {
  readonly bytes: Buffer;
  readonly json: Json;
  readonly checked: boolean;
}

function readBackup(repository: Repository, keys: Keys | undefined, name: string): Backup {
  const damage: string[] = [];
  const read = (file: string): Copy | undefined => {
    try {
      return readCopy(repository, keys, file, name);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      damage.push(error.message);
      return undefined;
    }
  };
  const first = read(`${name}.json`);
  const second = read(`manifests/${name}.json`);
  const confirmed = !damage.includes(`manifests/${name}.json is missing`);
  if (first && second && !first.bytes.equals(second.bytes)) {
    damage.push(`${name}.json and manifests/${name}.json differ; the second was used`);
  }
  const good = second ?? first;
  const real = confirmed ? damage : damage.filter((message) => !message.endsWith('is missing'));
  return { name, confirmed, damage: real, manifest: good?.json, checked: good?.checked ?? false };
}

function readCopy(repository: Repository, keys: Keys | undefined, file: string, name: string): Copy {
  const bytes = readSmallFile(join(repository.directory, file), MAX_MANIFEST, file);
  const algorithm = repository.encrypted ? 'hmac-sha256' : 'sha256';
  const { json, checked } = readChecked(bytes, algorithm, keys?.manifest, file);
  checkFormat(json, 'foodsave-backup manifest', file);
  if (text(json, 'repositoryId', file) !== repository.id.toString('hex')) {
    throw new Damage(`${file} belongs to another repository`);
  }
  if (text(json, 'name', file) !== name) throw new Damage(`${file} is the manifest of another backup`);
  text(json, 'createdAt', file);
  return { bytes, json, checked };
}

/** Opens the private part of a manifest that was checked. */
export function readDetails(backup: Backup, keys: Keys): Details {
  const { manifest, name } = backup;
  const what = `the private part of the manifest ${name}`;
  if (!manifest) throw new Damage(`no copy of the manifest ${name} can be used: ${backup.damage.join('; ')}`);
  const details = keys.encrypted
    ? parseJson(openSealed(base64(manifest, 'private', what, MAX_CONTENT + 1024), OBJECT.privatePart, keys, what), what)
    : manifest['private'];
  if (!isJson(details) || !isJson(details['components'])) throw new Damage(`${what} is damaged`);
  const instances = Object.entries(details['components']).map(([instance, value]) => {
    if (!isJson(value)) throw new Damage(`${what} is damaged (${instance})`);
    return readInstance(instance, value, what);
  });
  return { status: text(details, 'status', what), application: describe(details['application']), instances };
}

function readInstance(name: string, value: Json, what: string): Instance {
  const root = value['root'];
  if (root !== undefined && (typeof root !== 'string' || !/^[0-9a-f]{64}$/.test(root))) {
    throw new Damage(`${what} is damaged (the root of ${name})`);
  }
  return {
    name,
    root: root === undefined ? undefined : Buffer.from(root, 'hex'),
    status: describe(value['status']),
    error: describe(value['error']),
  };
}

function describe(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function totals(manifest: Json): { files: number | undefined; sizeBytes: number | undefined } {
  return { files: optionalCount(manifest, 'files'), sizeBytes: optionalCount(manifest, 'sizeBytes') };
}

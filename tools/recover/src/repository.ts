import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Damage, EXIT, RecoverError } from './errors.ts';
import { checkFormat, Newer, readChecked, readSmallFile, text } from './json-file.ts';
import { FOLDERS, listFolder } from './packs.ts';

const MAX_REPOSITORY_FILE = 64 * 1024;
const COPIES = ['repository.json', 'manifests/repository.json'] as const;

export interface Repository {
  readonly directory: string;
  /** 16 bytes. */
  readonly id: Buffer;
  readonly encrypted: boolean;
  /** What is wrong with repository.json itself; none of it keeps data from being read. */
  readonly damage: readonly string[];
}

type Description = Pick<Repository, 'id' | 'encrypted'>;

/** Reads repository.json, or its second copy, or as a last resort what every pack says about its repository. */
export function openRepository(directory: string): Repository {
  const damage: string[] = [];
  const found: Description[] = [];
  for (const file of COPIES) {
    try {
      found.push(readCopy(directory, file));
    } catch (error) {
      if (error instanceof Newer) throw newer(error.message);
      if (!(error instanceof Damage)) throw error;
      damage.push(error.message);
    }
  }
  const [first, second] = found;
  if (first && second && !(first.id.equals(second.id) && first.encrypted === second.encrypted)) {
    throw new RecoverError(
      EXIT.failed,
      `${COPIES[0]} and ${COPIES[1]} in ${directory} describe two different repositories`,
      'Two repositories were mixed. Move the wrong one of the two files away and run the command again.',
    );
  }
  if (first) return { directory, ...first, damage };
  const packed = fromPacks(directory);
  if (packed) return { directory, ...packed, damage: [...damage, 'the packs were asked what repository this is'] };
  if (damage.every((message) => message.endsWith('is missing'))) throw noRepository(directory);
  throw new RecoverError(
    EXIT.failed,
    `Neither copy of repository.json can be used: ${damage.join('; ')}`,
    'Copy repository.json from another copy of this repository (a NAS, a bucket) and run the command again.',
  );
}

function noRepository(directory: string): RecoverError {
  return new RecoverError(
    EXIT.noRepository,
    `There is no repository in ${directory}`,
    'Name the directory that holds repository.json with --repository DIR.',
  );
}

function newer(message: string): RecoverError {
  return new RecoverError(
    EXIT.failed,
    `This repository was written by newer software: ${message}`,
    'Use the recover.mjs that lies in the repository itself, or one from the software that wrote it.',
  );
}

function readCopy(directory: string, file: string): Description {
  const bytes = readSmallFile(join(directory, file), MAX_REPOSITORY_FILE, file);
  const { json } = readChecked(bytes, 'sha256', undefined, file);
  checkFormat(json, 'foodsave-backup repository', file);
  const id = text(json, 'id', file);
  const encryption = text(json, 'encryption', file);
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Damage(`${file} is damaged (its id)`);
  const known =
    text(json, 'hash', file) === 'sha256' &&
    text(json, 'compression', file) === 'zstd' &&
    (encryption === 'none' || encryption === 'aes-256-gcm');
  if (!known) throw new Newer(`${file} names a hash, compression or encryption that this recover.mjs does not know`);
  return { id: Buffer.from(id, 'hex'), encrypted: encryption !== 'none' };
}

/** Every pack starts with the id of its repository and whether it is encrypted. */
function fromPacks(directory: string): Description | undefined {
  for (const folder of FOLDERS) {
    for (const file of listFolder(join(directory, folder))) {
      if (!/^[0-9a-f]{64}\.pack$/.test(file)) continue;
      const header = Buffer.alloc(64);
      try {
        const fd = openSync(join(directory, folder, file), 'r');
        try {
          readSync(fd, header, 0, 64, 0);
        } finally {
          closeSync(fd);
        }
      } catch {
        continue;
      }
      const flags = header[10] ?? 0xff;
      if (header.toString('latin1', 0, 8) === 'FSBACKUP' && header[8] === 1 && flags <= 1) {
        return { id: header.subarray(16, 32), encrypted: flags === 1 };
      }
    }
  }
  return undefined;
}

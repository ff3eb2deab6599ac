import type { Folder } from '@foodsave-backup/format';

/** Object keys of FORMAT.md section 2. */
export const REPOSITORY_KEY = 'repository.json';
export const REPOSITORY_COPY_KEY = 'manifests/repository.json';

export function packObjectKey(folder: Folder, hash: Uint8Array): string {
  return `${folder}/${Buffer.from(hash).toString('hex')}.pack`;
}

export function indexObjectKey(hash: Uint8Array): string {
  return `index/${Buffer.from(hash).toString('hex')}.idx`;
}

export function manifestKey(name: string): string {
  return `${name}.json`;
}

export function manifestCopyKey(name: string): string {
  return `manifests/${name}.json`;
}

export function keyFileKey(id: string): string {
  return `keys/${id}.json`;
}

export function noteKey(id: string): string {
  return `notes/${id}.note`;
}

/** The 32 bytes that name a pack or an index file, or `undefined` for any other key. */
export function hashOfKey(key: string): Buffer | undefined {
  const match = /\/([0-9a-f]{64})\.(?:pack|idx)$/.exec(key);
  return match?.[1] === undefined ? undefined : Buffer.from(match[1], 'hex');
}

/** The backup's name from the key of either copy of its manifest. */
export function nameOfManifestKey(key: string): string | undefined {
  const match = /^(?:manifests\/)?([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.json$/.exec(key);
  return match?.[1] === undefined || match[1] === 'repository' ? undefined : match[1];
}

import { toBackupError } from '@foodsave-backup/kernel';
import { decodeRepositoryFile, encodeRepositoryFile, type Manifest } from '@foodsave-backup/format';
import { manifestCopyKey, manifestKey, nameOfManifestKey, REPOSITORY_COPY_KEY, REPOSITORY_KEY } from './layout.ts';
import type { Repository } from './repository.ts';

/** A copy of what is kept twice that is not as it should be. */
export interface BrokenTwin {
  /** Object key of the copy. */
  bad: string;
  reason: string;
  /** What is there now; absent when it is missing or cannot be read. */
  bytes?: Uint8Array;
  /** Object key of the other copy, from which it can be written again; absent when that one is bad too. */
  good?: string;
  /** What the copy has to be. */
  wanted?: Uint8Array;
  /** Name of the backup; absent for `repository.json`. */
  name?: string;
}

interface Copy {
  key: string;
  bytes?: Uint8Array;
  /** Why it is of no use. */
  reason?: string;
  manifest?: Manifest;
}

/**
 * Every copy of a manifest or of `repository.json` that is missing, damaged or not the same as the other. Of two manifests that are both
 * good and differ, the newer one counts. A manifest that lacks its second copy was never confirmed, and is no damage.
 */
export async function brokenTwins(repository: Repository): Promise<BrokenTwin[]> {
  const broken = await repositoryFiles(repository);
  const confirmed = new Set<string>();
  for (const key of await repository.storage.keys('manifests/')) {
    const name = nameOfManifestKey(key);
    if (name !== undefined) confirmed.add(name);
  }
  for (const name of confirmed) {
    const first = await readCopy(repository, manifestKey(name), name);
    const second = await readCopy(repository, manifestCopyKey(name), name);
    // Deleted meanwhile: the second copy goes first.
    if (second.reason === MISSING) continue;
    broken.push(...compare(name, first, second));
  }
  return broken;
}

const MISSING = 'it is missing';

function compare(name: string, first: Copy, second: Copy): BrokenTwin[] {
  const twin = (bad: Copy, reason: string, good?: Copy): BrokenTwin => ({
    ...{ bad: bad.key, reason, name },
    ...(bad.bytes === undefined ? {} : { bytes: bad.bytes }),
    ...(good?.bytes === undefined ? {} : { good: good.key, wanted: good.bytes }),
  });
  if (first.reason !== undefined && second.reason !== undefined) {
    return [twin(first, first.reason), twin(second, second.reason)];
  }
  if (first.reason !== undefined) return [twin(first, first.reason, second)];
  if (second.reason !== undefined) return [twin(second, second.reason, first)];
  if (first.bytes !== undefined && second.bytes !== undefined && Buffer.compare(first.bytes, second.bytes) === 0) {
    return [];
  }
  const older = isNewer(second.manifest, first.manifest) ? first : second;
  const newer = older === first ? second : first;
  return [twin(older, 'it differs from its other copy', newer)];
}

function isNewer(a: Manifest | undefined, b: Manifest | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return Date.parse(a.createdAt) > Date.parse(b.createdAt);
}

async function readCopy({ storage, manifests }: Repository, key: string, name: string): Promise<Copy> {
  let bytes: Uint8Array;
  try {
    bytes = await storage.get(key);
  } catch (error) {
    const there = (await storage.stat(key)) !== undefined;
    return { key, reason: there ? toBackupError(error).message : MISSING };
  }
  try {
    const manifest = manifests.decode(bytes);
    return manifest.name === name ? { key, bytes, manifest } : { key, bytes, reason: `it is of "${manifest.name}"` };
  } catch (error) {
    const known = toBackupError(error);
    if (known.code === 'FORMAT_TOO_NEW') throw known;
    return { key, bytes, reason: known.message };
  }
}

/** What both copies have to be is known: the opened repository is the proof. */
async function repositoryFiles({ storage, info }: Repository): Promise<BrokenTwin[]> {
  const wanted = encodeRepositoryFile(info);
  const broken: BrokenTwin[] = [];
  for (const [key, other] of [
    [REPOSITORY_KEY, REPOSITORY_COPY_KEY],
    [REPOSITORY_COPY_KEY, REPOSITORY_KEY],
  ] as const) {
    const bytes = await storage.get(key).catch(() => undefined);
    if (bytes !== undefined && Buffer.compare(bytes, wanted) === 0) continue;
    broken.push({
      ...{ bad: key, good: other, wanted, reason: bytes === undefined ? MISSING : damageOf(bytes) },
      ...(bytes === undefined ? {} : { bytes }),
    });
  }
  return broken;
}

function damageOf(bytes: Uint8Array): string {
  try {
    decodeRepositoryFile(bytes);
    return 'it differs from what the repository was opened with';
  } catch (error) {
    return toBackupError(error).message;
  }
}

import { BackupError } from '@foodsave-backup/kernel';
import { malformed } from './bytes.ts';
import { OBJECT_KIND, type Folder } from './header.ts';
import { decodeJsonFile, encodeJsonFile, newerVersionOf } from './json-file.ts';
import type { RepositoryKeys } from './keys.ts';
import { FORMAT_VERSION, LIMITS } from './limits.ts';
import { openObject, sealObject } from './seal.ts';

export type ComponentStatus = 'complete' | 'failed';

export interface ManifestComponent {
  type: string;
  driver: string;
  status: ComponentStatus;
  files: number;
  directories: number;
  links: number;
  sizeBytes: number;
  storedBytes: number;
  /** What a restore needs room for, where that is less than `sizeBytes`: holes and further names of one file need none. */
  roomBytes?: number;
  /** ISO 8601 UTC; absent when the capture failed before its instant. */
  capturedAt?: string;
  /** Id of the root tree node, hexadecimal; absent when the component failed. */
  root?: string;
  facts: Record<string, unknown>;
  error?: { code: string; message: string; hint?: string };
}

export interface ManifestPrivate {
  status: 'complete' | 'partial';
  durationMs: number;
  trigger: string;
  tags: string[];
  application: string;
  software: string;
  /** Milliseconds between the first and the last capture. */
  captureSkewMs: number;
  /** What was checked before the manifest was written. */
  verification?: { level: 'none' | 'new'; status: 'none' | 'ok'; at: string; checkedBytes: number };
  components: Record<string, ManifestComponent>;
}

export interface ManifestPublic {
  repositoryId: string;
  name: string;
  id: string;
  createdAt: string;
  finishedAt: string;
  files: number;
  sizeBytes: number;
  storedBytes: number;
  components: { folder: Folder; files: number; sizeBytes: number; storedBytes: number }[];
}

export interface Manifest extends Omit<ManifestPublic, 'components'>, ManifestPrivate {
  /** The public list per folder; `components` is the private map by instance. */
  folders: ManifestPublic['components'];
}

const FORMAT = 'foodsave-backup manifest';

/** The bytes of both copies of a manifest. `salt`: 32 random bytes. */
export function encodeManifest(keys: RepositoryKeys, manifest: Manifest, salt: Uint8Array): Buffer {
  const { status, durationMs, trigger, tags, application, software, captureSkewMs, verification, components } =
    manifest;
  const secret: ManifestPrivate = {
    ...{ status, durationMs, trigger, tags, application, software, captureSkewMs, components },
    ...(verification === undefined ? {} : { verification }),
  };
  return encodeJsonFile(
    {
      format: FORMAT,
      version: FORMAT_VERSION,
      repositoryId: manifest.repositoryId,
      name: manifest.name,
      id: manifest.id,
      createdAt: manifest.createdAt,
      finishedAt: manifest.finishedAt,
      files: manifest.files,
      sizeBytes: manifest.sizeBytes,
      storedBytes: manifest.storedBytes,
      components: manifest.folders,
      private: keys.encrypted
        ? sealObject(keys, OBJECT_KIND.manifest, Buffer.from(JSON.stringify(secret)), salt).toString('base64')
        : secret,
    },
    keys.encrypted ? keys.manifestKey : undefined,
  );
}

/** Checks the checksum, opens the private part and checks the types of what the software relies on. */
export function decodeManifest(keys: RepositoryKeys, file: Uint8Array): Manifest {
  if (file.length > LIMITS.manifestBytes) throw malformed('a manifest is too large');
  let json: Record<string, unknown>;
  try {
    json = decodeJsonFile(file, keys.encrypted ? { kind: 'hmac-sha256', key: keys.manifestKey } : { kind: 'sha256' });
  } catch (error) {
    assertNotNewer(keys, file);
    throw error;
  }
  if (json['version'] !== FORMAT_VERSION) assertNotNewer(keys, file);
  if (json['format'] !== FORMAT || json['version'] !== FORMAT_VERSION) throw malformed('it is not a manifest');
  if (json['repositoryId'] !== keys.repositoryId.toString('hex')) throw malformed('it belongs to another repository');
  const { components: folders, private: hidden, format: _format, version: _version, ...open } = json;
  const secret = keys.encrypted ? openPrivate(keys, hidden) : hidden;
  const manifest = { ...open, ...(secret as object), folders } as Manifest;
  assertManifest(manifest);
  return manifest;
}

function assertNotNewer(keys: RepositoryKeys, file: Uint8Array): void {
  const newer = newerVersionOf(file, FORMAT, FORMAT_VERSION, keys.encrypted ? keys.manifestKey : undefined);
  if (newer === undefined) return;
  throw new BackupError('FORMAT_TOO_NEW', `A manifest has version ${newer}; this software knows ${FORMAT_VERSION}`, {
    hint: 'Update this software.',
  });
}

function openPrivate(keys: RepositoryKeys, hidden: unknown): unknown {
  if (typeof hidden !== 'string') throw malformed('its private part is missing');
  const content = openObject(keys, OBJECT_KIND.manifest, Buffer.from(hidden, 'base64'));
  try {
    return JSON.parse(Buffer.from(content).toString('utf8'));
  } catch {
    throw malformed('its private part is not valid JSON');
  }
}

/** A file says what it says: nothing of it is known before it was looked at. */
function assertManifest(manifest: Manifest): void {
  const m = manifest as { readonly [K in keyof Manifest]: unknown };
  const strings = [m.name, m.id, m.createdAt, m.finishedAt, m.trigger, m.application, m.software];
  const numbers = [m.files, m.sizeBytes, m.storedBytes, m.durationMs];
  const ok =
    strings.every((s) => typeof s === 'string') &&
    numbers.every((n) => typeof n === 'number' && Number.isFinite(n) && n >= 0) &&
    Array.isArray(m.tags) &&
    Array.isArray(m.folders) &&
    (m.status === 'complete' || m.status === 'partial') &&
    isObject(m.components) &&
    Object.values(manifest.components).every(isComponent) &&
    !Number.isNaN(Date.parse(manifest.createdAt));
  if (!ok) throw malformed('a property of a manifest is missing or of the wrong type');
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isComponent(value: unknown): boolean {
  const c = value as Partial<ManifestComponent> | null;
  return (
    typeof c === 'object' &&
    c !== null &&
    typeof c.type === 'string' &&
    (c.status === 'complete' || c.status === 'failed') &&
    typeof c.files === 'number' &&
    typeof c.sizeBytes === 'number' &&
    isObject(c.facts) &&
    (c.status === 'failed' || (typeof c.root === 'string' && /^[0-9a-f]{64}$/.test(c.root)))
  );
}

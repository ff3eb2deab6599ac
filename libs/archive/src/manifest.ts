import { BackupError } from '@foodsave-backup/kernel';
import { archiveInvalid } from './errors.ts';
import { isJsonObject, parseJsonObject, type JsonObject } from './json.ts';

const FORMAT = 'foodsave-backup archive';
/** Version of the layout of archives. */
const VERSION = 1;

export interface ArchivedComponent {
  type: string;
  driver: string;
  status: 'complete' | 'failed';
  files: number;
  directories: number;
  links: number;
  sizeBytes: number;
  capturedAt?: string;
  /** Id of its tree in the repository that it comes from; absent when only a part of it was exported. */
  root?: string;
  /** The uppermost paths of it in the archive. */
  paths: string[];
  facts: JsonObject;
  error?: { code: string; message: string; hint?: string };
}

/** `manifest.json` of an archive: the backup in plain JSON. Times are ISO 8601 UTC, sizes bytes. */
export interface ArchiveManifest {
  name: string;
  id: string;
  /** Where it comes from. */
  repositoryId: string;
  createdAt: string;
  finishedAt: string;
  durationMs: number;
  status: 'complete' | 'partial';
  trigger: string;
  tags: string[];
  application: string;
  software: string;
  captureSkewMs: number;
  exportedAt: string;
  exportedBy: string;
  /** What was asked for, when it was less than all. */
  selection: { components?: string[]; paths?: string[] };
  components: Record<string, ArchivedComponent>;
  /** Records; of them files, and the sum of their sizes. */
  entries: number;
  files: number;
  sizeBytes: number;
}

export function encodeArchiveManifest(manifest: ArchiveManifest): Buffer {
  const note = 'This archive is not encrypted. See docs/archives.md of FoodSave Backup for its layout.';
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: VERSION, note, ...manifest }, null, 2)}\n`, 'utf8');
}

/** Throws ARCHIVE_INVALID for what is not a manifest, FORMAT_TOO_NEW for one of newer software. */
export function decodeArchiveManifest(bytes: Buffer): ArchiveManifest {
  const json = parseJsonObject(bytes);
  if (json?.['format'] !== FORMAT) throw archiveInvalid('its manifest.json is not one that "export" wrote');
  const { version } = json;
  if (typeof version === 'number' && version > VERSION) {
    throw new BackupError('FORMAT_TOO_NEW', `The archive has version ${version}; this software knows ${VERSION}`, {
      hint: 'Update this software.',
    });
  }
  const { format: _format, version: _version, note: _note, ...rest } = json;
  const manifest = rest as unknown as ArchiveManifest;
  if (version !== VERSION || !isManifest(rest)) {
    throw archiveInvalid('a property of its manifest.json is missing or of the wrong type');
  }
  return manifest;
}

/** As many as a configuration may have. */
const INSTANCES_MAX = 200;

function isManifest(m: JsonObject): boolean {
  const strings = ['name', 'id', 'repositoryId', 'trigger', 'application', 'software', 'exportedBy'];
  const counts = ['durationMs', 'captureSkewMs', 'entries', 'files', 'sizeBytes'];
  const times = ['createdAt', 'finishedAt', 'exportedAt'];
  const { selection, components } = m;
  return (
    strings.every((key) => isText(m[key])) &&
    counts.every((key) => isCount(m[key])) &&
    times.every((key) => isTime(m[key])) &&
    (m['status'] === 'complete' || m['status'] === 'partial') &&
    isTexts(m['tags']) &&
    isJsonObject(selection) &&
    isOptional(selection['components'], isTexts) &&
    isOptional(selection['paths'], isTexts) &&
    isJsonObject(components) &&
    Object.keys(components).length > 0 &&
    Object.keys(components).length <= INSTANCES_MAX &&
    Object.entries(components).every(([instance, component]) => isComponent(instance, component))
  );
}

const TYPE = /^[a-z][a-z0-9_]{0,31}$/;
const INSTANCE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** `type` or `type:name`, as a configuration spells them. */
function isInstance(instance: string, type: string): boolean {
  const [kind, name, ...rest] = instance.split(':');
  return kind === type && TYPE.test(type) && rest.length === 0 && (name === undefined || INSTANCE_NAME.test(name));
}

function isComponent(instance: string, value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { type, driver, status, root, capturedAt, error } = value;
  return (
    typeof type === 'string' &&
    isInstance(instance, type) &&
    typeof driver === 'string' &&
    /^[a-z][a-z0-9_-]{0,31}$/.test(driver) &&
    (status === 'complete' || status === 'failed') &&
    ['files', 'directories', 'links', 'sizeBytes'].every((key) => isCount(value[key])) &&
    isOptional(root, (id) => typeof id === 'string' && /^[0-9a-f]{64}$/.test(id)) &&
    isOptional(capturedAt, isTime) &&
    isTexts(value['paths']) &&
    isJsonObject(value['facts']) &&
    isOptional(
      error,
      (e) => isJsonObject(e) && isText(e['code']) && isText(e['message']) && isOptional(e['hint'], isText),
    )
  );
}

const TEXT_MAX = 10_000;

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= TEXT_MAX;
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTime(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

function isOptional(value: unknown, check: (value: unknown) => boolean): boolean {
  return value === undefined || check(value);
}

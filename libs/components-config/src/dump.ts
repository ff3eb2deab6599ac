import {
  compareLayoutPaths,
  ENVIRONMENT_DIRECTORY,
  TreeWalk,
  type ComponentFacts,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type EntryContent,
  type WalkOptions,
} from '@foodsave-backup/component';
import { environmentEntries, environmentFile, environmentPath, inMemory } from './environment.ts';
import { countKeys, MAX_REDACTED_FILE, redact } from './redact.ts';

export interface RedactedFile {
  path: string;
  keys: string[];
}

export interface ConfigDumpOptions {
  instance: string;
  run: DumpRun;
  walk: WalkOptions;
  capturedAt: string;
  variables: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Undefined: nothing is redacted (the repository encrypts). Otherwise the keys that the configuration names. */
  secrets: readonly string[] | undefined;
}

/** Larger files are passed on without counting their keys. */
const MAX_COUNTED = 1024 * 1024;

export class ConfigDump implements Dump {
  private readonly options: ConfigDumpOptions;
  private readonly walk: TreeWalk;
  private readonly redacted: RedactedFile[] = [];
  private environment: string[] = [];
  private unset: string[] = [];
  private keys = 0;
  private leftOut = false;

  constructor(options: ConfigDumpOptions) {
    this.options = options;
    this.walk = new TreeWalk(options.walk);
  }

  async *entries(): AsyncGenerator<DumpEntry, void, undefined> {
    let virtual = this.environmentEntries();
    // Each name is looked through, and redacted, by itself.
    for await (const { link: _link, ...entry } of this.walk.entries()) {
      if (virtual.length > 0 && compareLayoutPaths(entry.path, ENVIRONMENT_DIRECTORY) > 0) {
        yield* virtual;
        virtual = [];
      }
      const ready = entry.content ? await this.file(entry, entry.content) : entry;
      if (ready) yield ready;
    }
    yield* virtual;
  }

  private environmentEntries(): DumpEntry[] {
    const { variables, env, instance } = this.options;
    if (variables.length === 0) return [];
    const { text, found } = environmentFile(variables, env);
    this.environment = found;
    // Not set is a state like any other, which a restore must know of; a warning at every backup would only teach to skip warnings.
    this.unset = [...new Set(variables)].filter((name) => !found.includes(name)).sort();
    return environmentEntries(instance, this.protect(environmentPath(instance), Buffer.from(text)));
  }

  /** Counts the keys of a file and hides its secrets, where that is asked for. */
  private async file(entry: DumpEntry, content: EntryContent): Promise<DumpEntry | undefined> {
    const { secrets, run } = this.options;
    if (content.kind !== 'stream') return entry;
    if (secrets === undefined && entry.size > MAX_COUNTED) return entry;
    if (entry.size > MAX_REDACTED_FILE) {
      this.leftOut = true;
      run.warn({
        code: 'TOO_LARGE_TO_REDACT',
        message:
          'The file is too large to look for secrets in it, and the repository does not encrypt: it was left out',
        path: entry.path,
      });
      return undefined;
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of content.open()) pieces.push(Buffer.from(piece));
    const finished = await content.finish?.();
    const bytes = this.protect(entry.path, Buffer.concat(pieces));
    const memory = inMemory(bytes);
    return {
      ...entry,
      ...(finished?.meta ? { meta: finished.meta } : {}),
      size: bytes.length,
      content: finished ? { ...memory, finish: () => Promise.resolve(finished) } : memory,
    };
  }

  private protect(path: string, bytes: Uint8Array): Uint8Array {
    this.keys += countKeys(path, bytes);
    if (this.options.secrets === undefined) return bytes;
    const { bytes: safe, keys } = redact(path, bytes, this.options.secrets);
    if (keys.length > 0) this.redacted.push({ path, keys });
    return safe;
  }

  facts(): Promise<ComponentFacts> {
    const { files, directories, links, bytes, changedWhileRead, unreadable, vanished, special, skipped, incomplete } =
      this.walk.stats;
    return Promise.resolve({
      capturedAt: this.options.capturedAt,
      files,
      directories,
      links,
      bytes,
      keys: this.keys,
      environment: this.environment,
      environmentUnset: this.unset,
      redacted: this.redacted.map(({ path, keys }) => ({ path, keys })),
      changedWhileRead,
      unreadable,
      vanished,
      special,
      skipped,
      ...(incomplete || this.leftOut ? { incomplete: true } : {}),
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

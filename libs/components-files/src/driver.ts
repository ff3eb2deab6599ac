import { resolve } from 'node:path';
import {
  ConfigReader,
  defineComponent,
  fileSwaps,
  openFsRestore,
  patternFilter,
  TreeWalk,
  type Component,
  type ComponentContext,
  type ComponentFacts,
  type Dump,
  type DumpRun,
  type ProbeResult,
  type RestoreRun,
  type RestoreSink,
  type TreeFilter,
  type WalkOptions,
  type WalkStats,
} from '@foodsave-backup/component';
import { isoTime } from '@foodsave-backup/kernel';
import ignore from 'ignore';

/** Name of the files that hold patterns for the directory they lie in. They are part of the backup themselves. */
export const IGNORE_FILE = '.backupignore';

export interface FilesConfig {
  /** Files or directories, absolute or relative to the directory of the configuration file. */
  include: readonly string[];
  /** `.gitignore` syntax; a pattern with a slash is relative to the directory of the configuration file (or to an include path outside it). */
  exclude: readonly string[];
  /** Whether `.backupignore` files count. */
  ignoreFiles: boolean;
  /** Do not descend into directories on other file systems. */
  oneFileSystem: boolean;
}

const EXAMPLES = {
  include: '[./data/uploads, ./data/docs]',
  exclude: '["*.tmp", "cache/"]',
  ignoreFiles: 'true',
  oneFileSystem: 'false',
};

export function parseFilesConfig(instance: string, value: unknown): FilesConfig {
  const reader = new ConfigReader(instance, value, EXAMPLES);
  return {
    include: reader.requiredStrings('include'),
    exclude: reader.strings('exclude'),
    ignoreFiles: reader.boolean('ignoreFiles', true),
    oneFileSystem: reader.boolean('oneFileSystem', false),
  };
}

/** Directories and files, with `.gitignore`-like patterns. */
export const filesDriver = defineComponent<FilesConfig>({
  type: 'files',
  driver: 'directory',
  config: parseFilesConfig,
  open: (instance, config, context) => new FilesComponent(instance, config, context),
});

class FilesComponent implements Component {
  readonly type = 'files';
  readonly swaps = fileSwaps;
  readonly instance: string;
  private readonly config: FilesConfig;
  private readonly context: ComponentContext;
  private readonly roots: readonly string[];
  private readonly filter: TreeFilter;

  constructor(instance: string, config: FilesConfig, context: ComponentContext) {
    this.instance = instance;
    this.config = config;
    this.context = context;
    this.roots = config.include.map((path) => resolve(context.baseDir, path));
    this.filter = patternFilter({
      newMatcher: () => ignore({ ignorecase: false }),
      exclude: config.exclude,
      ...(config.ignoreFiles ? { ignoreFile: IGNORE_FILE } : {}),
    });
  }

  livePaths(): readonly string[] {
    return this.roots;
  }

  async probe(signal = new AbortController().signal): Promise<ProbeResult> {
    const walk = new TreeWalk({ ...this.walkOptions(signal), content: false });
    let entries = 0;
    for await (const entry of walk.entries()) entries += entry.path.length > 0 ? 1 : 0;
    const { files, directories, bytes } = walk.stats;
    return { bytes, entries, summary: `${files} files in ${directories} directories` };
  }

  openDump(run: DumpRun): Promise<Dump> {
    return Promise.resolve(new FilesDump(run, this.walkOptions(run.signal), isoTime(this.context.clock)));
  }

  openRestore(run: RestoreRun): Promise<RestoreSink> {
    const { clock, baseDir } = this.context;
    const { oneFileSystem } = this.config;
    return openFsRestore({ run, clock, baseDir, roots: this.roots, filter: this.filter, oneFileSystem });
  }

  private walkOptions(signal: AbortSignal): WalkOptions {
    return {
      baseDir: this.context.baseDir,
      roots: this.roots,
      signal,
      warn: () => undefined,
      startedNs: BigInt(Math.trunc(this.context.clock.now())) * 1_000_000n,
      filter: this.filter,
      skipMissing: this.context.skipMissing === true,
      oneFileSystem: this.config.oneFileSystem,
    };
  }
}

class FilesDump implements Dump {
  private readonly walk: TreeWalk;
  private readonly capturedAt: string;

  constructor(run: DumpRun, options: WalkOptions, capturedAt: string) {
    this.capturedAt = capturedAt;
    this.walk = new TreeWalk({
      ...options,
      warn: (warning) => {
        run.warn(warning);
      },
      previous: (path) => run.previous(path),
    });
  }

  entries(): ReturnType<Dump['entries']> {
    return this.walk.entries();
  }

  facts(): Promise<ComponentFacts> {
    return Promise.resolve(filesFacts(this.walk.stats, this.capturedAt));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** `incomplete` when something was unreadable, vanished or changed while it was read, or an include path is a link. */
function filesFacts(stats: WalkStats, capturedAt: string): ComponentFacts {
  return {
    capturedAt,
    files: stats.files,
    directories: stats.directories,
    links: stats.links,
    bytes: stats.bytes,
    changedWhileRead: stats.changedWhileRead,
    unreadable: stats.unreadable,
    vanished: stats.vanished,
    special: stats.special,
    skipped: stats.skipped,
    hardLinked: stats.hardLinked,
    sparse: stats.sparse,
    ...(stats.xattrs === undefined ? {} : { xattrs: stats.xattrs }),
    ...(stats.otherXattrs.length === 0 ? {} : { xattrsNotKept: stats.otherXattrs }),
    ...(stats.incomplete ? { incomplete: true } : {}),
  };
}

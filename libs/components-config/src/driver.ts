import { resolve } from 'node:path';
import {
  ConfigReader,
  defineComponent,
  fileSwaps,
  openFsRestore,
  openLiveFsRestore,
  patternFilter,
  TreeWalk,
  type Component,
  type ComponentContext,
  type Dump,
  type DumpRun,
  type ProbeResult,
  type RestoreRun,
  type RestoreSink,
  type TreeFilter,
  type WalkOptions,
} from '@foodsave-backup/component';
import { isoTime } from '@foodsave-backup/kernel';
import ignore from 'ignore';
import { ConfigDump } from './dump.ts';
import { ConfigLiveSink, ConfigTargetSink } from './sink.ts';

export interface ConfigComponentConfig {
  /** Files or directories, absolute or relative to the directory of the configuration file. */
  include: readonly string[];
  /** `.gitignore` syntax, relative to the directory of the configuration file. */
  exclude: readonly string[];
  /** Names of environment variables whose values are kept. */
  env: readonly string[];
  /** Keys, or dotted paths of keys, that are secret beside those of the published list. */
  secrets: readonly string[];
}

const EXAMPLES = {
  include: '[./data/config]',
  exclude: '["*.bak"]',
  env: '[LOG_LEVEL]',
  secrets: '[smtp.login, licence]',
};

export function parseConfigConfig(instance: string, value: unknown): ConfigComponentConfig {
  const reader = new ConfigReader(instance, value, EXAMPLES);
  const env = reader.strings('env');
  if (env.some((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))) {
    throw reader.invalid('env', 'must be a list of names of environment variables');
  }
  return {
    include: reader.requiredStrings('include'),
    exclude: reader.strings('exclude'),
    env,
    secrets: reader.strings('secrets'),
  };
}

/** Configuration files and environment variables. Redacts secrets where the repository does not encrypt. */
export const configDriver = defineComponent<ConfigComponentConfig>({
  type: 'config',
  driver: 'directory',
  config: parseConfigConfig,
  open: (instance, config, context) => new ConfigComponent(instance, config, context),
});

class ConfigComponent implements Component {
  readonly type = 'config';
  readonly swaps = fileSwaps;
  readonly instance: string;
  private readonly config: ConfigComponentConfig;
  private readonly context: ComponentContext;
  private readonly roots: readonly string[];
  private readonly filter: TreeFilter;

  constructor(instance: string, config: ConfigComponentConfig, context: ComponentContext) {
    this.instance = instance;
    this.config = config;
    this.context = context;
    this.roots = config.include.map((path) => resolve(context.baseDir, path));
    this.filter = patternFilter({ newMatcher: () => ignore({ ignorecase: false }), exclude: config.exclude });
  }

  livePaths(): readonly string[] {
    return this.roots;
  }

  async probe(signal = new AbortController().signal): Promise<ProbeResult> {
    const walk = new TreeWalk({ ...this.walkOptions(signal), content: false });
    let entries = this.config.env.length > 0 ? 2 : 0;
    for await (const entry of walk.entries()) entries += entry.path === '' ? 0 : 1;
    const variables = this.config.env.length === 0 ? '' : `, ${this.config.env.length} environment variables`;
    return { bytes: walk.stats.bytes, entries, summary: `${walk.stats.files} files${variables}` };
  }

  openDump(run: DumpRun): Promise<Dump> {
    const { instance, config, context } = this;
    const walk = {
      ...this.walkOptions(run.signal),
      warn: (warning: Parameters<DumpRun['warn']>[0]) => {
        run.warn(warning);
      },
    };
    const secrets = context.encrypted ? undefined : config.secrets;
    const capturedAt = isoTime(context.clock);
    return Promise.resolve(
      new ConfigDump({ instance, run, walk, capturedAt, variables: config.env, env: context.env, secrets }),
    );
  }

  async openRestore(run: RestoreRun): Promise<RestoreSink> {
    const { clock, baseDir } = this.context;
    const options = { run, clock, baseDir, roots: this.roots, filter: this.filter };
    if (run.destination.kind === 'target') return new ConfigTargetSink(await openFsRestore(options), run);
    return new ConfigLiveSink(await openLiveFsRestore(options), run, baseDir, this.config.secrets);
  }

  /** Without `previous`: the files are few and small, and their keys are counted each time. */
  private walkOptions(signal: AbortSignal): WalkOptions {
    return {
      baseDir: this.context.baseDir,
      roots: this.roots,
      signal,
      warn: () => undefined,
      startedNs: BigInt(Math.trunc(this.context.clock.now())) * 1_000_000n,
      filter: this.filter,
      skipMissing: this.context.skipMissing === true,
    };
  }
}

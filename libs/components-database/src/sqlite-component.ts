import { readdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type {
  Component,
  ComponentContext,
  Dump,
  DumpRun,
  Estimate,
  ProbeResult,
  RestoreRun,
  RestoreSink,
  SwapRecovery,
} from '@foodsave-backup/component';
import type { BindingChoice } from './child/binding.ts';
import { SqliteChild } from './child/client.ts';
import type { DatabaseSettings } from './config.ts';
import { openSqliteDump } from './dump.ts';
import { LiveRestore } from './restore-live.ts';
import { TargetRestore } from './restore-target.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { STAGING_PREFIX } from './staging.ts';
import { DatabaseSwaps } from './swaps.ts';

const PROBE_WAIT_MS = 250;

/** One SQLite database. This process never opens its file; each task forks a child that does (child/client.ts says why). */
export class SqliteComponent implements Component {
  readonly type = 'database';
  readonly instance: string;
  readonly swaps: SwapRecovery;
  private readonly source: SqliteSource;

  constructor(instance: string, settings: DatabaseSettings, context: ComponentContext, binding: BindingChoice) {
    this.instance = instance;
    this.source = { instance, settings, context, binding };
    this.swaps = new DatabaseSwaps(this.source);
  }

  /** By its size alone: no process is started for it. */
  async estimate(): Promise<Estimate> {
    const { size } = await stat(this.source.settings.path);
    return { bytes: size, entries: 1 };
  }

  async probe(signal?: AbortSignal): Promise<ProbeResult> {
    const { settings, context, binding } = this.source;
    const child = new SqliteChild({ binding, scratchDir: context.scratchDir, ...(signal && { signal }) });
    try {
      // A look for an estimate; whoever needs the lock waits for it in full.
      const busyTimeoutMs = Math.min(settings.busyTimeoutMs, PROBE_WAIT_MS);
      const found = await child.call('probe', { path: settings.path, busyTimeoutMs });
      return { bytes: found.bytes, entries: 1, summary: summarise(found.journalMode, found.tables) };
    } finally {
      child.close();
    }
  }

  openDump(run: DumpRun): Promise<Dump> {
    return openSqliteDump(this.source, run);
  }

  openRestore(run: RestoreRun): Promise<RestoreSink> {
    const { destination } = run;
    return Promise.resolve(
      destination.kind === 'live'
        ? new LiveRestore(this.source, run)
        : new TargetRestore(this.source, run, destination.directory),
    );
  }

  async recover(): Promise<void> {
    const directory = dirname(await realpath(this.source.settings.path).catch(() => this.source.settings.path));
    const names = await readdir(directory).catch(() => []);
    for (const name of names) if (name.startsWith(STAGING_PREFIX)) await rm(join(directory, name), { force: true });
  }

  livePaths(): readonly string[] {
    const { path } = this.source.settings;
    return [path, `${path}-wal`, `${path}-shm`, `${path}-journal`];
  }
}

function summarise(journalMode: 'wal' | 'rollback' | 'empty', tables: number | null): string {
  if (journalMode === 'empty') return 'SQLite, an empty file';
  const mode = journalMode === 'wal' ? 'WAL mode' : 'rollback journal';
  if (tables === null) return `SQLite, ${mode}`;
  return `SQLite, ${mode}, ${String(tables)} ${tables === 1 ? 'table' : 'tables'}`;
}

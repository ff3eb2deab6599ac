import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { loadConfig, openEngine } from '@foodsave-backup/runtime';
import type { ResolvedConfig } from '@foodsave-backup/runtime';
import type { BackupModuleOptions } from '../core/options.ts';

const CONFIG = `application: kitchen
components:
  database: { driver: sqlite, path: ./data/app.db }
  files: { include: [./data/uploads] }
  config: { include: [./data/config], env: [KITCHEN_MODE] }
encryption: { enabled: false }
retention: { daily: 3, weekly: 0, monthly: 0 }
schedules: { timezone: Europe/Warsaw }
`;

/** A small application's data, and the options of a BackupModule that protects it in this process. */
export class Workspace {
  readonly dir = realpathSync(mkdtempSync(path.join(tmpdir(), 'foodsave-nest-')));
  readonly env: Readonly<Record<string, string>> = { KITCHEN_MODE: 'open' };
  /** Runs that were carried out. */
  executed = 0;
  /** Before each run: lets a test hold it back. */
  beforeRun: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  constructor() {
    this.write('backup.yaml', CONFIG);
    this.write('data/uploads/soup.txt', 'tomato soup\n');
    this.write('data/uploads/photos/a b.txt', 'zażółć gęślą jaźń\n');
    this.write('data/config/app.yaml', 'mode: open\n');
    const database = new Database(path.join(this.dir, 'data/app.db'));
    database.exec('CREATE TABLE recipes (id INTEGER PRIMARY KEY, title TEXT NOT NULL)');
    const insert = database.prepare('INSERT INTO recipes (title) VALUES (?)');
    for (let i = 0; i < 100; i++) insert.run(`recipe ${i}`);
    database.close();
  }

  path(relative: string): string {
    return path.join(this.dir, relative);
  }

  write(relative: string, content: string): void {
    const file = this.path(relative);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  config(env: Record<string, string> = {}): Promise<ResolvedConfig> {
    return loadConfig({ cwd: this.dir, env, warn: () => undefined });
  }

  async options(env: Record<string, string> = {}): Promise<BackupModuleOptions> {
    const config = await this.config(env);
    const engine = openEngine(config, { env: this.env });
    return {
      config,
      source: { cwd: this.dir },
      env: this.env,
      execute: async (run, context) => {
        this.executed++;
        await this.beforeRun(context.signal);
        return engine.execute(run.command, context);
      },
    };
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

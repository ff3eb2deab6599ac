import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BackupError } from '@foodsave-backup/kernel';
import { loadConfig } from '../index.ts';
import type { LoadConfigOptions, ResolvedConfig } from '../index.ts';

/** A directory of its own for one test, and what loading a configuration in it gives. */
export class Workspace {
  readonly dir = realpathSync(mkdtempSync(path.join(tmpdir(), 'foodsave-config-')));
  readonly warnings: string[] = [];

  path(relative: string): string {
    return path.join(this.dir, relative);
  }

  write(relative: string, content: string | Uint8Array): string {
    const file = this.path(relative);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  load(options: Partial<LoadConfigOptions> = {}): Promise<ResolvedConfig> {
    return loadConfig({ env: {}, cwd: this.dir, warn: (message) => this.warnings.push(message), ...options });
  }

  /** The error of a load that must fail; everything but CONFIG_INVALID is thrown on. */
  async refusal(options: Partial<LoadConfigOptions> = {}): Promise<BackupError> {
    try {
      await this.load(options);
    } catch (error) {
      if (error instanceof BackupError && error.code === 'CONFIG_INVALID') return error;
      throw error;
    }
    throw new Error('The configuration was accepted');
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Everything of an error that could be shown somewhere. */
export function shown(error: unknown): string {
  const parts: string[] = [];
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    parts.push(current.message, current.stack ?? '', JSON.stringify(current));
    if (current instanceof BackupError) parts.push(current.hint ?? '');
  }
  return parts.join('\n');
}

export const MINIMAL = 'components: { database: { driver: sqlite, path: ./data/app.db } }\n';

import { Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { ComponentEntry } from './component-entry.ts';
import { ComponentProber } from './component-prober.ts';
import { ComponentRegistry } from './component-registry.ts';
import type { ComponentKind } from './component-registry.ts';
import { settingsOf } from './settings.ts';

/** SQLite databases: where they lie, and whether a backup could read them now. */
@Injectable()
export class DatabaseBackup implements ComponentKind {
  readonly type = 'database';
  readonly #prober: ComponentProber;

  constructor(prober: ComponentProber, registry: ComponentRegistry) {
    this.#prober = prober;
    registry.register(this);
  }

  entries(): Promise<ComponentEntry[]> {
    const instances = this.#prober.instances(this.type);
    return Promise.all(instances.map((spec) => this.#prober.probe(spec, settingsOf(spec.config, ['path']))));
  }
}

/** The `database` component. */
@Module({ providers: [DatabaseBackup], exports: [DatabaseBackup] })
export class DatabaseBackupModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: DatabaseBackupModule, imports: [core] };
  }
}

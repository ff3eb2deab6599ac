import { Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { ComponentEntry } from './component-entry.ts';
import { ComponentProber } from './component-prober.ts';
import { ComponentRegistry } from './component-registry.ts';
import type { ComponentKind } from './component-registry.ts';
import { settingsOf } from './settings.ts';

/** Directories: what is included and excluded, and whether all of it is there. */
@Injectable()
export class FilesBackup implements ComponentKind {
  readonly type = 'files';
  readonly #prober: ComponentProber;

  constructor(prober: ComponentProber, registry: ComponentRegistry) {
    this.#prober = prober;
    registry.register(this);
  }

  entries(): Promise<ComponentEntry[]> {
    const instances = this.#prober.instances(this.type);
    return Promise.all(
      instances.map((spec) => this.#prober.probe(spec, settingsOf(spec.config, ['include', 'exclude']))),
    );
  }
}

/** The `files` component. */
@Module({ providers: [FilesBackup], exports: [FilesBackup] })
export class FilesBackupModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: FilesBackupModule, imports: [core] };
  }
}

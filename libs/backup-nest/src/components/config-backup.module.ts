import { Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { ComponentEntry } from './component-entry.ts';
import { ComponentProber } from './component-prober.ts';
import { ComponentRegistry } from './component-registry.ts';
import type { ComponentKind } from './component-registry.ts';
import { settingsOf } from './settings.ts';

/** Configuration files and environment variables: which ones, by name; never a value. */
@Injectable()
export class ConfigBackup implements ComponentKind {
  readonly type = 'config';
  readonly #prober: ComponentProber;

  constructor(prober: ComponentProber, registry: ComponentRegistry) {
    this.#prober = prober;
    registry.register(this);
  }

  entries(): Promise<ComponentEntry[]> {
    const instances = this.#prober.instances(this.type);
    return Promise.all(
      instances.map((spec) =>
        this.#prober.probe(spec, settingsOf(spec.config, ['include', 'exclude', 'env', 'redact'])),
      ),
    );
  }
}

/** The `config` component. */
@Module({ providers: [ConfigBackup], exports: [ConfigBackup] })
export class ConfigBackupModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: ConfigBackupModule, imports: [core] };
  }
}

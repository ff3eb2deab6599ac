import { Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { ComponentEntry } from './component-entry.ts';
import { ComponentProber } from './component-prober.ts';
import { ComponentRegistry } from './component-registry.ts';
import type { ComponentKind } from './component-registry.ts';
import { settingsOf } from './settings.ts';

/** Vector stores: which engine, where, and whether index and sidecar can be read. */
@Injectable()
export class VectorStoreBackup implements ComponentKind {
  readonly type = 'vector_store';
  readonly #prober: ComponentProber;

  constructor(prober: ComponentProber, registry: ComponentRegistry) {
    this.#prober = prober;
    registry.register(this);
  }

  entries(): Promise<ComponentEntry[]> {
    const instances = this.#prober.instances(this.type);
    return Promise.all(
      instances.map((spec) => this.#prober.probe(spec, settingsOf(spec.config, ['path', 'index', 'sidecar']))),
    );
  }
}

/** The `vector_store` component. */
@Module({ providers: [VectorStoreBackup], exports: [VectorStoreBackup] })
export class VectorStoreBackupModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: VectorStoreBackupModule, imports: [core] };
  }
}

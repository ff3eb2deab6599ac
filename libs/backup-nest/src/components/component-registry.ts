import { Injectable } from '@nestjs/common';
import type { ComponentEntry } from './component-entry.ts';

/** A kind of component, as its module registers it. */
export interface ComponentKind {
  readonly type: string;
  /** The configured instances, each looked at now. */
  entries(): Promise<ComponentEntry[]>;
}

/** The kinds of components that modules have registered. */
@Injectable()
export class ComponentRegistry {
  readonly #kinds = new Map<string, ComponentKind>();

  register(kind: ComponentKind): void {
    this.#kinds.set(kind.type, kind);
  }

  get types(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  async entries(): Promise<ComponentEntry[]> {
    return (await Promise.all([...this.#kinds.values()].map((kind) => kind.entries()))).flat();
  }
}

import type { AbstractHttpAdapter } from '@nestjs/core';

/** A layer of Express 5's router, as far as it is needed to ask which methods an address has. */
interface Layer {
  match(path: string): boolean;
  route?: { methods: Readonly<Record<string, boolean>> };
}

function isLayer(value: unknown): value is Layer {
  return typeof value === 'object' && value !== null && 'match' in value && typeof value.match === 'function';
}

/** Methods that have a route at `path`, upper case; empty where there is none, or no Express to ask. */
export function methodsAt(adapter: AbstractHttpAdapter, path: string): string[] {
  const instance = adapter.getInstance<{ router?: { stack?: unknown } } | undefined>();
  const stack = instance?.router?.stack;
  const methods = new Set<string>();
  for (const layer of Array.isArray(stack) ? (stack as unknown[]) : []) {
    if (!isLayer(layer) || layer.route === undefined || !matches(layer, path)) continue;
    for (const method of Object.keys(layer.route.methods)) methods.add(method.toUpperCase());
  }
  if (methods.has('GET')) methods.add('HEAD');
  methods.delete('_ALL');
  return [...methods].sort();
}

function matches(layer: Layer, path: string): boolean {
  try {
    return layer.match(path);
  } catch {
    // A path that cannot be decoded matches nothing.
    return false;
  }
}

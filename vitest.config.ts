import { defineConfig } from 'vitest/config';

// Tests import the libraries' sources (the "source" export condition), so that no build stands between a change and its
// test. End-to-end tests under apps/ run what was built.
export default defineConfig({
  resolve: { conditions: ['@foodsave-backup/source', 'node'] },
  ssr: { resolve: { conditions: ['@foodsave-backup/source', 'node'] } },
  test: {
    include: [
      'libs/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'tools/*/**/*.test.ts',
      'examples/*/src/**/*.test.ts',
      'acceptance/**/*.test.ts',
      'bench/src/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/dist/**', 'tools/layers-fixture/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
